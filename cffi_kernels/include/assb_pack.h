/* Cells in series, standing in stacks: several cells may share one stack (their heights add, they feel one pressure).
 * The caller owns all arrays. Double precision, host only. Current and heater are one for all; + charges.
 */
#ifndef ASSB_PACK_H
#define ASSB_PACK_H
#include "assb_actuator.h"
#include "assb_cell.h"
#include "assb_stack.h"

/* cdef begin */
typedef struct {
    int cells, stacks;
    /* arrays of `cells` */
    const assb_cell_params *cell_params;
    assb_cell_state *cell;
    const int *stack_of; /* index of the stack that the cell stands in */
    double *short_s;     /* input: conductance of a short injected into the cell, siemens */
    /* arrays of `stacks` */
    const assb_stack_params *stack_params;
    assb_stack_state *stack;
    const assb_actuator_params *actuator_params;
    assb_actuator_state *actuator;
    assb_actuator_input *actuator_input; /* input */
    /* outcome */
    double voltage_v; /* sum of the cells' */
    double current_a; /* of the last step */
    double time_s;
    double time_lost_s; /* what rounding has taken from time_s */
} assb_pack;

typedef struct {
    double current_a;
    double ambient_degc;
    double heater_w; /* of the whole pack: each cell's surface gets an equal share */
} assb_pack_input;

typedef struct {
    double time_s;
    int cell;
    int kind; /* enum assb_event_kind, which says what the value is */
    double value;
} assb_event;

typedef struct {
    assb_event *event;
    long count, capacity;
    int64_t cleared; /* events that were here and have been taken: event[k] is number cleared + k since the first */
} assb_event_log;

/* A column of values, or with stride 0 one number that stands for all of them. */
typedef struct {
    const double *value;
    long stride;
} assb_series;

typedef struct {
    assb_series current_a, ambient_degc, heater_w;
    const assb_series *short_s; /* per cell, or NULL: as they are */
    const assb_series *aim_mpa; /* per stack, or NULL: as they are */
    const assb_series *steps_per_s;
} assb_pack_series;

/* Row k of a result: out[k * stride] = *source, any number of a state. */
typedef struct {
    const double *source;
    double *out;
    long stride;
} assb_sink;

/* Parameters and indices; ASSB_BAD_PROTOCOL for a count or an index out of range. */
int assb_pack_check(const assb_pack *pack);
/* Everything at rest, or with a negative status nothing changed. soc and temperature_degc per cell, pressure_mpa per
 * stack; cell k draws from stream k of seed. */
int assb_pack_reset(assb_pack *pack, const double *soc, const double *temperature_degc, const double *pressure_mpa,
                    uint64_t seed);
/* All move by dt_s, or with a negative status none does. log may be NULL; ASSB_LOG_FULL if a step's events might not
 * fit. Stable for any dt_s. */
int assb_pack_step(assb_pack *pack, const assb_pack_input *in, assb_event_log *log, double dt_s);
/* Steps and rows first .. n - 1; returns the first row that was not taken: n, or less with *status saying why. */
long assb_pack_run(assb_pack *pack, const assb_pack_series *in, const assb_sink *sinks, int sink_count,
                   assb_event_log *log, double dt_s, long first, long n, int *status);
/* All of it has been taken. */
void assb_event_log_clear(assb_event_log *log);
void assb_pack_row(const assb_sink *sinks, int sink_count, long row);
/* The states of `from` into the arrays of `to`, which has as many. */
void assb_pack_copy(assb_pack *to, const assb_pack *from);
/* Terminals at the end of the next dt_s against the current held over it, linearised. */
assb_cell_line assb_pack_outlook(const assb_pack *pack, double dt_s);
/* cdef end */

#endif
