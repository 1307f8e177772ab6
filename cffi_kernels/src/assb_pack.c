#include "assb_pack.h"
#include "assb_math.h"

#include <math.h> /* NAN */
#include <stddef.h>
#include <string.h>

#define EVENTS_MOST (ASSB_TOLD_MOST + 1) /* of one cell in one step; one for those that found no room */

int assb_pack_check(const assb_pack *pack)
{
    int status = pack->cells > 0 && pack->stacks > 0 ? ASSB_OK : ASSB_BAD_PROTOCOL;
    for (int k = 0; k < pack->cells && status == ASSB_OK; k++) {
        if (pack->stack_of[k] < 0 || pack->stack_of[k] >= pack->stacks)
            return ASSB_BAD_PROTOCOL;
        status = assb_cell_check(&pack->cell_params[k]);
    }
    for (int k = 0; k < pack->stacks && status == ASSB_OK; k++) {
        status = assb_stack_check(&pack->stack_params[k]);
        if (status == ASSB_OK)
            status = assb_actuator_check(&pack->actuator_params[k]);
    }
    return status;
}

static double sum_of_voltages(const assb_pack *pack)
{
    double sum = 0;
    for (int k = 0; k < pack->cells; k++)
        sum += pack->cell[k].voltage_v;
    return sum;
}

int assb_pack_reset(assb_pack *pack, const double *soc, const double *temperature_degc, const double *pressure_mpa,
                    uint64_t seed)
{
    for (int k = 0; k < pack->cells; k++) { /* all of them before the first one moves */
        int status = assb_cell_start_status(soc[k], temperature_degc[k], pressure_mpa[pack->stack_of[k]]);
        if (status != ASSB_OK)
            return status;
    }
    for (int k = 0; k < pack->stacks; k++)
        pack->stack[k].height_um = 0;
    for (int k = 0; k < pack->cells; k++) {
        int at = pack->stack_of[k];
        (void)assb_cell_reset(&pack->cell_params[k], &pack->cell[k], soc[k], temperature_degc[k], pressure_mpa[at],
                              seed, (uint64_t)k);
        pack->short_s[k] = 0;
        pack->stack[at].height_um += pack->cell[k].height_um;
    }
    for (int k = 0; k < pack->stacks; k++) {
        const assb_actuator_input hold = {NAN, 0, 0};
        double height_um = pack->stack[k].height_um;
        double gap_um = assb_stack_reset(&pack->stack_params[k], &pack->stack[k], height_um, pressure_mpa[k]);
        assb_actuator_reset(&pack->actuator_params[k], &pack->actuator[k], gap_um, pressure_mpa[k]);
        pack->actuator_input[k] = hold;
    }
    pack->voltage_v = sum_of_voltages(pack);
    pack->current_a = 0;
    pack->time_s = 0;
    pack->time_lost_s = 0;
    return ASSB_OK;
}

static int log_status(const assb_pack *pack, const assb_event_log *log)
{
    if (log != NULL && log->capacity - log->count < (long)EVENTS_MOST * pack->cells)
        return ASSB_LOG_FULL;
    return ASSB_OK;
}

/* All that a cell's step refuses is refused here before any cell has moved. */
static int input_status(const assb_pack *pack, const assb_pack_input *in, const assb_event_log *log, double dt_s)
{
    for (int k = 0; k < pack->cells; k++) {
        const assb_cell_input cell = {in->current_a, in->ambient_degc + pack->cell_params[k].ambient_offset_k,
                                      pack->stack[pack->stack_of[k]].pressure_mpa, in->heater_w, pack->short_s[k]};
        int status = assb_cell_input_status(&cell, dt_s);
        if (status != ASSB_OK)
            return status;
    }
    for (int k = 0; k < pack->stacks; k++) {
        int status = assb_actuator_input_status(&pack->actuator_params[k], &pack->actuator_input[k]);
        if (status != ASSB_OK)
            return status;
    }
    return log_status(pack, log);
}

/* The same where all but current and pressure passed it at the step before. */
static int moving_status(const assb_pack *pack, const assb_pack_input *in, const assb_event_log *log)
{
    if (!(in->current_a >= -ASSB_CURRENT_MOST_A && in->current_a <= ASSB_CURRENT_MOST_A))
        return ASSB_BAD_CURRENT;
    for (int k = 0; k < pack->stacks; k++)
        if (!(pack->stack[k].pressure_mpa <= ASSB_PRESSURE_MOST_MPA))
            return ASSB_BAD_PRESSURE;
    return log_status(pack, log);
}

static ASSB_COLD void tell(assb_event_log *log, const assb_told *told, int cell, double end_s, double dt_s)
{
    for (int k = 0; k < told->count; k++) {
        const assb_told_event *one = &told->event[k];
        const assb_event event = {end_s - (dt_s - one->after_s), cell, one->kind, one->value};
        log->event[log->count++] = event;
    }
    if (told->untold > 0) {
        const assb_event event = {end_s, cell, ASSB_UNTOLD, told->untold};
        log->event[log->count++] = event;
    }
}

/* A sum of many dt_s loses their last bits; what was lost is put into the next sum (Kahan). */
static void move_clock(assb_pack *pack, double dt_s)
{
    double added = dt_s - pack->time_lost_s;
    double sum = pack->time_s + added;
    pack->time_lost_s = sum - pack->time_s - added;
    pack->time_s = sum;
}

static void move_stack(assb_pack *pack, int k, double dt_s)
{
    const assb_stack_params *params = &pack->stack_params[k];
    assb_stack_state *stack = &pack->stack[k];
    assb_actuator_state *actuator = &pack->actuator[k];
    assb_stack_relax(params, stack, actuator->gap_um, dt_s);
    if (pack->actuator_params[k].kind != ASSB_FIXED_GAP)
        assb_actuator_step(&pack->actuator_params[k], actuator, &pack->actuator_input[k],
                           assb_stack_stress_mpa(params, stack, actuator->gap_um), params->stiffness_mpa_per_um, dt_s);
    assb_stack_press(params, stack, actuator->gap_um);
}

/* For an input that input_status has passed. */
static ASSB_HOT void move(assb_pack *pack, const assb_pack_input *in, assb_event_log *log, double dt_s)
{
    double share_w = in->heater_w != 0 ? in->heater_w / pack->cells : 0;
    assb_cell_input cell = {in->current_a, in->ambient_degc, 0, share_w, 0};
    double voltage_v = 0;
    move_clock(pack, dt_s);
    for (int k = 0; k < pack->stacks; k++)
        pack->stack[k].height_um = 0;
    for (int k = 0; k < pack->cells; k++) {
        assb_cell_state *state = &pack->cell[k];
        assb_stack_state *stack = &pack->stack[pack->stack_of[k]];
        cell.pressure_mpa = stack->pressure_mpa;
        cell.short_s = pack->short_s[k];
        assb_cell_move(&pack->cell_params[k], state, &cell, dt_s);
        stack->height_um += state->height_um;
        voltage_v += state->voltage_v;
        if (log != NULL && state->told.count > 0)
            tell(log, &state->told, k, pack->time_s, dt_s);
    }
    for (int k = 0; k < pack->stacks; k++)
        move_stack(pack, k, dt_s);
    pack->voltage_v = voltage_v;
    pack->current_a = in->current_a;
}

int assb_pack_step(assb_pack *pack, const assb_pack_input *in, assb_event_log *log, double dt_s)
{
    int status = input_status(pack, in, log, dt_s);
    if (status == ASSB_OK)
        move(pack, in, log, dt_s);
    return status;
}

static double at(const assb_series *series, long k)
{
    return series->value[k * series->stride];
}

void assb_event_log_clear(assb_event_log *log)
{
    log->cleared += log->count;
    log->count = 0;
}

void assb_pack_row(const assb_sink *sinks, int sink_count, long row)
{
    for (int k = 0; k < sink_count; k++)
        sinks[k].out[row * sinks[k].stride] = *sinks[k].source;
}

static void feed(assb_pack *pack, const assb_pack_series *in, long row)
{
    for (int k = 0; k < pack->cells && in->short_s != NULL; k++)
        pack->short_s[k] = at(&in->short_s[k], row);
    for (int k = 0; k < pack->stacks && in->aim_mpa != NULL; k++)
        pack->actuator_input[k].aim_mpa = at(&in->aim_mpa[k], row);
    for (int k = 0; k < pack->stacks && in->steps_per_s != NULL; k++)
        pack->actuator_input[k].steps_per_s = at(&in->steps_per_s[k], row);
}

/* Nothing but the current has a column. */
static int all_hold(const assb_pack *pack, const assb_pack_series *in)
{
    long strides = in->ambient_degc.stride | in->heater_w.stride;
    for (int k = 0; k < pack->cells && in->short_s != NULL; k++)
        strides |= in->short_s[k].stride;
    for (int k = 0; k < pack->stacks && in->aim_mpa != NULL; k++)
        strides |= in->aim_mpa[k].stride;
    for (int k = 0; k < pack->stacks && in->steps_per_s != NULL; k++)
        strides |= in->steps_per_s[k].stride;
    return strides == 0;
}

long assb_pack_run(assb_pack *pack, const assb_pack_series *in, const assb_sink *sinks, int sink_count,
                   assb_event_log *log, double dt_s, long first, long n, int *status)
{
    int holds = all_hold(pack, in);
    assb_pack_input input = {0, 0, 0};
    *status = ASSB_OK;
    for (long row = first; row < n; row++) {
        input.current_a = at(&in->current_a, row);
        if (row == first || !holds) {
            input.ambient_degc = at(&in->ambient_degc, row);
            input.heater_w = at(&in->heater_w, row);
            feed(pack, in, row);
            *status = input_status(pack, &input, log, dt_s);
        } else {
            *status = moving_status(pack, &input, log);
        }
        if (*status != ASSB_OK)
            return row;
        move(pack, &input, log, dt_s);
        assb_pack_row(sinks, sink_count, row);
    }
    return n;
}

void assb_pack_copy(assb_pack *to, const assb_pack *from)
{
    memcpy(to->cell, from->cell, sizeof *from->cell * (size_t)from->cells);
    memcpy(to->stack, from->stack, sizeof *from->stack * (size_t)from->stacks);
    memcpy(to->actuator, from->actuator, sizeof *from->actuator * (size_t)from->stacks);
    to->voltage_v = from->voltage_v;
    to->current_a = from->current_a;
    to->time_s = from->time_s;
    to->time_lost_s = from->time_lost_s;
}

assb_cell_line assb_pack_outlook(const assb_pack *pack, double dt_s)
{
    assb_cell_line sum = {0, 0};
    for (int k = 0; k < pack->cells; k++) {
        assb_cell_line line = assb_cell_outlook(&pack->cell_params[k], &pack->cell[k], dt_s);
        sum.volts += line.volts;
        sum.ohm += line.ohm;
    }
    return sum;
}
