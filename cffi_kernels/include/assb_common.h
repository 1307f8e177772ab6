/* What the kernels share. Text between the cdef markers is cut out for cffi by build_kernels.py. */
#ifndef ASSB_COMMON_H
#define ASSB_COMMON_H
#include <stdint.h>

/* cdef begin */
/* 0 is success; anything negative means that the call changed nothing. */
enum assb_status {
    ASSB_OK = 0,
    ASSB_BAD_VOLTAGE = -1, /* not finite, or outside the plausible range of the parameters */
    ASSB_BAD_CURRENT = -2,
    ASSB_BAD_TEMPERATURE = -3,
    ASSB_BAD_PRESSURE = -4,
    ASSB_BAD_DT = -5, /* not finite, not positive, or above the parameters' dt_max_s */
    ASSB_BAD_PARAMETER = -6,
    ASSB_BAD_SHORT = -7,    /* short conductance not finite or negative */
    ASSB_BAD_SOC = -8,      /* initial SOC or its sigma */
    ASSB_BAD_PROTOCOL = -9, /* a protocol step, an index or a count is out of range */
    ASSB_LOG_FULL = -10     /* the event log is full: drain it and go on */
};

enum assb_dimension {
    ASSB_OCV_POINTS = 129, /* SOC 0..1 in steps of 1/128 */
    ASSB_TEMPERATURE_POINTS = 12,
    ASSB_PRESSURE_POINTS = 8,
    ASSB_R0_POINTS = 96,
    ASSB_STATES = 5,
    ASSB_TRIANGLE = 15, /* upper triangle of a matrix of ASSB_STATES */
    ASSB_KEPT = 5,      /* decays of V1, V2, leak and averaged innovation; SOC per ampere */
    ASSB_SPAN = 5,      /* a cell of an axis: low, high, per_unit, base, index */
    ASSB_HORIZONS = 3,  /* of power limits: 2, 10, 30 s */
    ASSB_RC_PAIRS = 3,
    ASSB_VISCOUS = 2,
    ASSB_CREEP_TERMS = 2,
    ASSB_TOLD_MOST = 16, /* events of a unit in one step; the last place is kept for a hard short */
    ASSB_CYCLER_COMING = 64,
    ASSB_SENSOR_LINE = 256,
    ASSB_LEARNED = 14, /* reals that outlive a power cycle */
    ASSB_EVIDENCES = 13,
    ASSB_DIPS = 16,          /* remembered for the count in their window */
    ASSB_CYCLES = 10,        /* whose coulombic efficiency is remembered */
    ASSB_SWELLING_BINS = 20, /* tenths of SOC, on charge and on discharge */
    ASSB_CHARGE_ERRORS = 6,  /* of the model that missing charge is judged by */
    ASSB_CHARGE_PAIRS = 21,  /* of them: upper triangle of a covariance */
    ASSB_LEAKS = 4,          /* sizes that are tested for */
    ASSB_PASSES = 20,        /* tenths of SOC that are passed, on charge and on discharge */
    ASSB_LATEST = 5,         /* seconds that the middle is taken of */
    ASSB_PACK_MOST = 128     /* cells that are compared */
};

/* Evidences of an internal short, in the order of firmware/assb/detection/. */
enum assb_evidence {
    ASSB_DIPPING = 0,
    ASSB_NOISE = 1,
    ASSB_MISSING_CHARGE = 2,
    ASSB_REST_DECAY = 3,
    ASSB_CV_TAIL = 4,
    ASSB_EFFICIENCY = 5,
    ASSB_RESISTANCE_DROP = 6,
    ASSB_STALL = 7,
    ASSB_SWELLING = 8,
    ASSB_PRESSURE_FALL = 9,
    ASSB_PLATING = 10,
    ASSB_HEAT = 11,
    ASSB_CONTACT_LOSS = 12
};

enum assb_evidence_state { ASSB_UNAVAILABLE = 0, ASSB_LEARNING = 1, ASSB_NORMAL = 2, ASSB_ACTIVE = 3 };
enum assb_stage { ASSB_NO_SHORT = 0, ASSB_SUSPECT = 1, ASSB_SOFT_SHORT = 2, ASSB_SHORTED = 3 };

/* Which qualification the last chance to learn lacked. */
enum assb_missing {
    ASSB_LEARNT = 0,
    ASSB_NO_CHANCE = 1,  /* no step of current, or no rest, long or large enough so far */
    ASSB_TOO_SLOW = 2,   /* the samples are too far apart */
    ASSB_UNSTEADY = 3,   /* temperature or pressure moved R0 meanwhile */
    ASSB_LEAKING = 4,    /* an internal short would be taken for it */
    ASSB_OCV_FLAT = 5,   /* the rested voltage does not tell SOC well enough */
    ASSB_ONE_ANCHOR = 6, /* the first rest of two */
    ASSB_SHORT_SPAN = 7, /* the rests are too close together in SOC */
    ASSB_OUTLIER = 8     /* it contradicts what was learned so far; if it does so again it will be believed */
};

/* What keeps a cell's current from being larger. */
enum assb_power_bound {
    ASSB_BOUND_NONE = 0, /* nothing is known yet */
    ASSB_BOUND_VOLTAGE = 1,
    ASSB_BOUND_SOC = 2,
    ASSB_BOUND_CURRENT = 3,
    ASSB_BOUND_TEMPERATURE = 4,
    ASSB_BOUND_PRESSURE = 5,
    ASSB_BOUND_PLATING = 6,
    ASSB_BOUND_STRIPPING = 7
};

/* Where an exponential or a logarithm was last evaluated in full: nearby, a short series is as exact (assb_math.h). */
typedef struct {
    double at, value;
} assb_near;

/* What happens to a unit, and what its value is. */
enum assb_event_kind {
    ASSB_BRIDGE = 1,     /* Rs of the fresh bridge, ohm */
    ASSB_DEEPENED = 2,   /* Rs, ohm: each halving of a bridge's */
    ASSB_BURN_OUT = 3,   /* energy that it took, J */
    ASSB_HARD_SHORT = 4, /* Rs < R0, ohm */
    ASSB_VOIDED = 5,     /* theta, crossing 0.1 upwards */
    ASSB_UNTOLD = 6      /* number of events that this step's list had no room for */
};

typedef struct {
    int kind; /* enum assb_event_kind */
    double value;
    double after_s; /* from the begin of the step */
} assb_told_event;

/* What a unit tells of a step, in order. */
typedef struct {
    int count, untold;
    double gone_s; /* of the step, before the present span */
    assb_told_event event[ASSB_TOLD_MOST];
} assb_told;
/* cdef end */

#endif
