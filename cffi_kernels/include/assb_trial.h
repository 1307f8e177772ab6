/* One trial of the short detectors on a pack, run without leaving C: a load that repeats, changes at their times, and
 * what the sensors show of it, a row a tick. Everything begins and ends on whole ticks, as at a lab cycler that decides
 * at its own clock. It can be cut into as many calls as wanted: they change no byte. The caller owns all arrays. Double
 * precision, host only. + charges.
 */
#ifndef ASSB_TRIAL_H
#define ASSB_TRIAL_H
#include "assb_pack.h"
#include "assb_sensor.h"

/* cdef begin */
typedef struct {
    double current_a;
    const double *drive_a;     /* or NULL; a column instead of current_a, which repeats until the phase ends */
    long drive_n, drive_ticks; /* each value for so many ticks */
    double ceiling_v, floor_v; /* of each cell, or without taps of the mean; held at the end of each tick */
    long ticks;                /* the longest that it takes, at least 1 */
    double until_a;            /* ends where ceiling or floor holds |current| at or below this; below 0: no such end */
} assb_trial_phase;

/* What a change sets, and of which. Channels: a voltage per lead, current, temperature, a pressure per stack. */
enum assb_trial_kind {
    ASSB_TRIAL_SHORT_S = 0, /* cell: conductance of an injected short */
    ASSB_TRIAL_THETA = 1,   /* cell: share of contact lost, at least; once it falls again, so does what was held */
    ASSB_TRIAL_AIM_MPA = 2, /* stack: what the actuator is told */
    ASSB_TRIAL_AMBIENT_DEGC = 3,
    ASSB_TRIAL_RIPPLE_A = 4, /* rms of a white current on top of the load's, as aliased ripple looks like */
    ASSB_TRIAL_OFFSET = 5,   /* channel: added to its reading */
    ASSB_TRIAL_GAIN = 6,     /* channel: factor on its reading, before the offset; 1: none */
    ASSB_TRIAL_NOISE = 7,    /* channel: added to its noise_rms */
    ASSB_TRIAL_STUCK = 8,    /* channel: 1 repeats its last reading, 0 does not */
    ASSB_TRIAL_DROPOUT = 9   /* channel: share of readings that repeat the one before */
};

typedef struct {
    long tick;       /* from the begin of this tick on */
    long ramp_ticks; /* on the way to its value; 0: at once */
    int by_factors;  /* the ramp takes equal factors, not equal steps; both ends above 0 */
    int kind, at;    /* `at`: which cell, stack or channel */
    double value;
} assb_trial_change;

/* A level on its way. */
typedef struct {
    double *level;
    double from, to;
    long begin, ticks;
    int by_factors;
} assb_trial_ramp;

typedef struct {
    assb_sensor_params params; /* of a single reading; delay_s stands as delay_ticks */
    assb_sensor_faults faults;
    double stuck; /* level of STUCK */
    double *line; /* delay_ticks of past truths */
    long delay_ticks;
    /* A reading is the mean of `samples` quantised ones. By the place of the truth between two quanta, in
     * ASSB_TRIAL_DITHER steps: their mean and the rms of that mean, in quanta (NULL without a quantum). */
    long samples;
    const double *dither_mean, *dither_rms;
    double per_root_samples; /* 1/sqrt(samples) */
    double drift, last;
} assb_trial_channel;

/* Two normal numbers cost little more than one. */
typedef struct {
    assb_random random;
    double spare;
    int has_spare;
} assb_trial_normals;

typedef struct {
    /* what to do */
    assb_pack *pack;
    assb_event_log *log;
    double dt_s;
    int leads; /* voltages that can be seen: as many as cells, or 1 of all */
    const assb_trial_phase *phases;
    long phase_count, loop_from; /* after the last phase comes number loop_from */
    const assb_trial_change *changes;
    long change_count;                /* by rising tick */
    assb_trial_ramp *ramps;           /* room for change_count */
    assb_trial_channel *channel;      /* leads + 2 + stacks of them */
    const double *um_per_step;        /* per stack: of its screw; 0: a gap that stands; NaN: nobody knows the gap */
    double *theta_least, *theta_held; /* per cell */
    double *aim_mpa;                  /* per stack: command */
    double aim_gain;                  /* what the actuator makes of a command */
    int rests;                        /* the load stands still, without a current, for as long as this is set */
    /* where it is; all 0 at first */
    long tick, phase, ticks_in_phase, next_change, ramp_count;
    int holds_theta;
    double ambient_degc, ripple_a;
    assb_trial_normals noise, ripple;
    assb_random chance;
} assb_trial;

/* Rows of what the board would see; [row * n + k] where there are n of them. */
typedef struct {
    double *time_s;
    double *voltage_v; /* per lead */
    double *current_a;
    double *temperature_degc; /* the only thermometer sits on the first cell's surface */
    double *pressure_mpa;     /* this and the next two per stack */
    double *gap_um;           /* what the screw counted, + is wider; NaN where nobody knows */
    double *aim_mpa;
} assb_trial_columns;

/* ASSB_BAD_PARAMETER for a channel's errors, *at is its index; ASSB_BAD_PROTOCOL for a phase, a change (counted on
 * after the phases) or, *at -1, a count that can't be. */
int assb_trial_check(const assb_trial *trial, long *at);
/* Seeds the random numbers; the rest of "where it is" is 0, levels are the caller's. */
void assb_trial_begin(assb_trial *trial, uint64_t seed);
/* Ticks into rows first .. n - 1, sinks too; returns the first row that was not made: n, or less with *status saying
 * why. After ASSB_LOG_FULL call again with the log taken: nothing of that tick has happened. */
long assb_trial_run(assb_trial *trial, const assb_trial_columns *out, const assb_sink *sinks, int sink_count,
                    long first, long n, int *status);
/* cdef end */

#define ASSB_TRIAL_DITHER 64

/* What the channel shows of this truth; two of the trial's normal numbers at most. */
double assb_trial_read(assb_trial *trial, assb_trial_channel *channel, double truth);
double assb_trial_normal(assb_trial_normals *normals);

#endif
