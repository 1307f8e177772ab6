#include "assb_protocol.h"
#include "assb_math.h"

#include <math.h> /* floor, isnan */
#include <stddef.h>

#define SECONDS_PER_HOUR 3600.0
#define SAME_TIME 1e-6    /* of a dt: what is left of a step by rounding goes into its last dt */
#define PIECES_MOST 1e9   /* of dt_s in one value of a drive column */
#define LIMIT_ROOM_V 1e-5 /* a voltage that is held at its limit does not break it */

static int step_is_sound(const assb_protocol_step *step, double dt_s)
{
    const double not_below_zero[] = {step->until_s, step->until_ah, step->until_current_a};
    for (size_t k = 0; k < sizeof not_below_zero / sizeof *not_below_zero; k++)
        if (not_below_zero[k] < 0)
            return 0;
    int is_bounded = assb_finite(step->until_s) || assb_finite(step->until_ah);
    int ends = is_bounded || assb_finite(step->until_voltage_v) || assb_finite(step->until_unit_voltage_v);
    switch (step->mode) {
    case ASSB_REST:
        return assb_finite(step->until_s);
    case ASSB_CURRENT:
        return assb_finite(step->current_a) && ends && (step->current_a != 0 || assb_finite(step->until_s));
    case ASSB_VOLTAGE:
        return assb_finite(step->voltage_v) && step->current_a > 0 &&
               (is_bounded || assb_finite(step->until_current_a));
    case ASSB_DRIVE:
        return (ends || isnan(step->until_s)) && step->drive_a != NULL && step->drive_n > 0 &&
               step->drive_dt_s >= ASSB_DT_LEAST_S && step->drive_dt_s < PIECES_MOST * dt_s;
    default:
        return 0;
    }
}

int assb_protocol_check(const assb_protocol *run, long *at)
{
    *at = -1;
    if (!(run->dt_s >= ASSB_DT_LEAST_S && run->dt_s <= ASSB_DT_MOST_S) || !(run->every_s > 0))
        return ASSB_BAD_DT;
    for (long k = 0; k < run->step_count; k++) {
        *at = k;
        if (!step_is_sound(&run->steps[k], run->dt_s))
            return ASSB_BAD_PROTOCOL;
    }
    return ASSB_OK;
}

static void write_row(assb_protocol *run)
{
    assb_pack_row(run->sinks, run->sink_count, run->rows++);
}

void assb_protocol_rows_taken(assb_protocol *run)
{
    run->rows_taken += run->rows;
    run->rows = 0;
}

static void begin_step(assb_protocol *run, const assb_protocol_step *step)
{
    assb_pack *pack = run->pack;
    run->step_has_begun = 1;
    run->step = (double)run->at_step;
    run->cycle = step->cycle;
    run->step_s = 0;
    run->step_ah = 0;
    run->ticks_in_step = 0;
    run->intervals = 0;
    if (!isnan(step->ambient_degc))
        run->ambient_degc = step->ambient_degc;
    if (!isnan(step->heater_w))
        run->heater_w = step->heater_w;
    for (int k = 0; k < pack->stacks && !isnan(step->aim_mpa); k++)
        pack->actuator_input[k].aim_mpa = step->aim_mpa;
}

static void count_charge(assb_protocol *run, double current_a, double dt_s)
{
    double ah = current_a * dt_s / SECONDS_PER_HOUR, wh = 0;
    for (int k = 0; k < run->pack->cells; k++)
        wh += run->pack->cell[k].mean_voltage_v * ah;
    run->step_ah += ah;
    run->charge_ah += ah > 0 ? ah : 0;
    run->charge_wh += ah > 0 ? wh : 0;
    run->discharge_ah -= ah < 0 ? ah : 0;
    run->discharge_wh -= ah < 0 ? wh : 0;
}

static int breaks(assb_protocol *run, double value, double low, double high, int low_kind, int at)
{
    if (!(value < low) && !(value > high))
        return 0;
    run->limit = value < low ? low_kind : low_kind + 1;
    run->limit_at = at;
    run->limit_value = value;
    return 1;
}

static int breaks_a_limit(assb_protocol *run)
{
    const assb_pack *pack = run->pack;
    const assb_limits *most = &run->limits;
    double low_v = most->voltage_min_v - LIMIT_ROOM_V, high_v = most->voltage_max_v + LIMIT_ROOM_V;
    for (int k = 0; k < pack->cells; k++) {
        const assb_cell_state *cell = &pack->cell[k];
        if (breaks(run, cell->voltage_v, low_v, high_v, ASSB_VOLTAGE_LOW, k) ||
            breaks(run, cell->core_degc, most->temperature_min_degc, most->temperature_max_degc, ASSB_TEMPERATURE_LOW,
                   k))
            return 1;
    }
    for (int k = 0; k < pack->stacks; k++)
        if (breaks(run, pack->stack[k].pressure_mpa, most->pressure_min_mpa, most->pressure_max_mpa, ASSB_PRESSURE_LOW,
                   k))
            return 1;
    return 0;
}

static void end_tick(assb_protocol *run, const assb_protocol_step *step, const assb_tick *tick)
{
    int is_whole = !tick->is_last && !tick->stops;
    run->ticks_in_step++;
    run->step_s =
        is_whole ? (double)run->ticks_in_step * assb_protocol_whole_tick_s(run, step) : run->step_s + tick->dt_s;
    int is_due = run->step_s >= (run->intervals + 1) * run->every_s - SAME_TIME * run->dt_s;
    if (is_due)
        run->intervals = floor(run->step_s / run->every_s + SAME_TIME);
    if (is_due || tick->is_last || tick->stops || run->limit != ASSB_NO_LIMIT)
        write_row(run);
    if (tick->is_last) {
        run->at_step++;
        run->step_has_begun = 0;
    }
}

static int advance(assb_protocol *run)
{
    const assb_protocol_step *step = &run->steps[run->at_step];
    if (!run->step_has_begun)
        begin_step(run, step);
    assb_tick tick = {assb_protocol_whole_tick_s(run, step), 0, 0, 0};
    run->status = assb_protocol_play(run, step, &tick);
    if (run->status != ASSB_OK)
        return run->status == ASSB_LOG_FULL ? ASSB_EVENTS_FULL : ASSB_REFUSED;
    if (tick.dt_s > 0) {
        count_charge(run, tick.current_a, tick.dt_s);
        (void)breaks_a_limit(run);
    }
    end_tick(run, step, &tick);
    if (run->limit != ASSB_NO_LIMIT)
        return ASSB_LIMIT_BROKEN;
    return tick.stops ? ASSB_FINISHED : ASSB_RUNNING;
}

int assb_protocol_run(assb_protocol *run, long ticks)
{
    int end = ASSB_RUNNING;
    if (!run->has_begun && run->rows < run->row_capacity) {
        run->has_begun = 1;
        write_row(run);
    }
    while (end == ASSB_RUNNING && ticks-- > 0) {
        if (run->at_step == run->step_count || run->pack->time_s >= run->stop_s)
            return ASSB_FINISHED;
        if (run->rows >= run->row_capacity)
            return ASSB_ROWS_FULL;
        end = advance(run);
    }
    return end;
}
