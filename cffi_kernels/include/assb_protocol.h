/* A protocol of steps on a pack, run without leaving C. It can be cut into as many calls as wanted: they change no
 * byte of the outcome.
 *
 * Time moves by dt_s, but each step ends at its exact time or charge, and at its voltage within 1e-6 V (or 1e-4 of a
 * dt_s). A held voltage is met at the end of each dt_s within 1e-6 V, wherever the current allows it. + charges.
 */
#ifndef ASSB_PROTOCOL_H
#define ASSB_PROTOCOL_H
#include "assb_cycler.h"
#include "assb_pack.h"

/* cdef begin */
enum assb_step_mode { ASSB_REST = 0, ASSB_CURRENT = 1, ASSB_VOLTAGE = 2, ASSB_DRIVE = 3 };

typedef struct {
    int mode;
    double current_a; /* CURRENT: with its sign. VOLTAGE: the most, either way */
    double voltage_v; /* VOLTAGE: of the whole pack */
    /* ends, whichever comes first; NaN or infinite: no such end */
    double until_s;
    double until_voltage_v; /* of the whole pack, passed in the direction of the current; DRIVE: on discharge only */
    double until_unit_voltage_v; /* likewise, of the first cell; VOLTAGE gives way there and goes on */
    double until_current_a;      /* VOLTAGE: |current| at or below this */
    double until_ah;             /* net charge moved in this step, magnitude */
    /* surroundings; NaN: as they were */
    double ambient_degc, heater_w;
    double aim_mpa; /* of every actuator */
    /* DRIVE: a column that repeats until another end is met; played once if until_s is NaN */
    const double *drive_a;
    long drive_n;
    double drive_dt_s;
    double cycle; /* a label for the rows */
} assb_protocol_step;

/* What stops a run; NaN: no such limit. Voltages of each cell, temperatures of its core. */
typedef struct {
    double voltage_min_v, voltage_max_v;
    double pressure_min_mpa, pressure_max_mpa;
    double temperature_min_degc, temperature_max_degc;
} assb_limits;

enum assb_limit_kind {
    ASSB_NO_LIMIT = 0,
    ASSB_VOLTAGE_LOW = 1,
    ASSB_VOLTAGE_HIGH = 2,
    ASSB_PRESSURE_LOW = 3,
    ASSB_PRESSURE_HIGH = 4,
    ASSB_TEMPERATURE_LOW = 5,
    ASSB_TEMPERATURE_HIGH = 6
};

enum assb_protocol_end {
    ASSB_RUNNING = 0, /* `ticks` are over: call again */
    ASSB_FINISHED = 1,
    ASSB_LIMIT_BROKEN = 2,
    ASSB_ROWS_FULL = 3, /* take the rows, say so, call again */
    ASSB_EVENTS_FULL = 4,
    ASSB_REFUSED = 5 /* `status` says why; the step before is the last one taken */
};

typedef struct {
    /* what to do */
    assb_pack *pack;
    assb_pack *spare;                 /* as large as pack: keeps where a dt_s began */
    const assb_cycler_params *cycler; /* its slew rate and largest current; NULL: an ideal source */
    assb_event_log *log;
    const assb_protocol_step *steps;
    long step_count;
    assb_limits limits;
    double dt_s;
    double every_s; /* a row every so often from the begin of each step, and at its end */
    double stop_s;  /* of the pack's time; infinite: none */
    const assb_sink *sinks;
    int sink_count;
    long row_capacity;
    /* where it is; all 0 at first */
    long at_step, ticks_in_step;
    long rows, rows_taken; /* in the sinks; before them */
    double intervals;      /* of every_s that rows have covered in this step */
    int has_begun, step_has_begun;
    /* numbers for rows */
    double step, cycle, step_s;
    double step_ah;                                          /* net */
    double charge_ah, discharge_ah, charge_wh, discharge_wh; /* at the terminals, since the run began */
    double ambient_degc, heater_w;
    /* why it ended */
    int limit, limit_at; /* kind; cell or stack */
    double limit_value;
    int status;
} assb_protocol;

/* ASSB_BAD_PROTOCOL for a step that can't be run: *at is its index, or -1. */
int assb_protocol_check(const assb_protocol *run, long *at);
/* The rows in the sinks have been taken. */
void assb_protocol_rows_taken(assb_protocol *run);
/* At most `ticks` dt_s further; returns an enum assb_protocol_end. */
int assb_protocol_run(assb_protocol *run, long ticks);
/* cdef end */

/* One tick: what it moved by, and whether it is the last of its step. */
typedef struct {
    double dt_s, current_a;
    int is_last, stops;
} assb_tick;

/* The longest tick of a step: dt_s, or an equal piece of a drive column's value. */
double assb_protocol_whole_tick_s(const assb_protocol *run, const assb_protocol_step *step);
/* Moves the pack by one tick of the step, or by what is left of it; tick->dt_s is its length. */
int assb_protocol_play(assb_protocol *run, const assb_protocol_step *step, assb_tick *tick);

#endif
