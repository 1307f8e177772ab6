#include "assb_protocol.h"
#include "assb_math.h"

#include <math.h> /* fabs, floor, isnan, INFINITY */
#include <stddef.h>

#define SECONDS_PER_HOUR 3600.0
#define SAME_TIME 1e-6 /* of a dt: what is left of a step by rounding goes into its last dt */
#define SAME_VOLTAGE_V 1e-6
#define SAME_PLACE 1e-4   /* of a dt, in which a voltage is passed */
#define TRIALS 40         /* to find a current or a time; each one halves the bracket at worst */
#define PIECES_MOST 1e9   /* of dt_s in one value of a drive column */
#define LIMIT_ROOM_V 1e-5 /* a voltage that is held at its limit does not break it */

static double clamp(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

static int is_end(double until)
{
    return assb_finite(until);
}

static int step_is_sound(const assb_protocol_step *step, double dt_s)
{
    const double not_below_zero[] = {step->until_s, step->until_ah, step->until_current_a};
    for (size_t k = 0; k < sizeof not_below_zero / sizeof *not_below_zero; k++)
        if (not_below_zero[k] < 0)
            return 0;
    int ends = is_end(step->until_s) || is_end(step->until_ah) || is_end(step->until_voltage_v);
    switch (step->mode) {
    case ASSB_REST:
        return is_end(step->until_s);
    case ASSB_CURRENT:
        return assb_finite(step->current_a) && ends && (step->current_a != 0 || is_end(step->until_s));
    case ASSB_VOLTAGE:
        return assb_finite(step->voltage_v) && step->current_a > 0 && (ends || is_end(step->until_current_a));
    case ASSB_DRIVE:
        return step->drive_a != NULL && step->drive_n > 0 && step->drive_dt_s > 0 &&
               step->drive_dt_s < PIECES_MOST * dt_s;
    default:
        return 0;
    }
}

int assb_protocol_check(const assb_protocol *run, long *at)
{
    *at = -1;
    if (!(run->dt_s > 0 && assb_finite(run->dt_s)) || !(run->every_s > 0))
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

/* Samples of a drive column are cut into equal pieces of at most dt_s. */
static long pieces_of(const assb_protocol *run, const assb_protocol_step *step)
{
    return step->mode == ASSB_DRIVE ? (long)ceil(step->drive_dt_s / run->dt_s - SAME_TIME) : 1;
}

static double whole_tick_s(const assb_protocol *run, const assb_protocol_step *step)
{
    if (step->mode != ASSB_DRIVE)
        return run->dt_s;
    long pieces = pieces_of(run, step);
    return step->drive_dt_s / (double)(pieces > 1 ? pieces : 1);
}

static double end_of_step_s(const assb_protocol_step *step)
{
    if (step->mode == ASSB_DRIVE && isnan(step->until_s))
        return step->drive_dt_s * (double)step->drive_n;
    return is_end(step->until_s) ? step->until_s : INFINITY;
}

static double sample_a(const assb_protocol *run, const assb_protocol_step *step)
{
    long pieces = pieces_of(run, step);
    return step->drive_a[run->ticks_in_step / (pieces > 1 ? pieces : 1) % step->drive_n];
}

/* The current that a step asks for over the next dt_s. */
static double wanted_a(const assb_protocol *run, const assb_protocol_step *step, double dt_s)
{
    if (step->mode == ASSB_CURRENT)
        return step->current_a;
    if (step->mode == ASSB_VOLTAGE) {
        assb_cell_line line = assb_pack_outlook(run->pack, dt_s);
        return clamp((step->voltage_v - line.volts) / line.ohm, -step->current_a, step->current_a);
    }
    if (step->mode == ASSB_DRIVE) {
        double current_a = sample_a(run, step);
        double ceiling_v = isnan(run->limits.voltage_max_v) ? INFINITY : run->limits.voltage_max_v;
        assb_cycler_input in = {current_a, INFINITY, -INFINITY, ceiling_v, -INFINITY, 1, 1, 0, 0, 0, 1};
        return current_a > 0 ? assb_cycler_held_a(&in, run->pack, dt_s) : current_a;
    }
    return 0;
}

static int move(assb_protocol *run, double current_a, double dt_s)
{
    const assb_pack_input in = {current_a, run->ambient_degc, run->heater_w};
    return assb_pack_step(run->pack, &in, run->log, dt_s);
}

/* Where a dt began, to try it again. */
typedef struct {
    long events;
} assb_mark;

static assb_mark keep(assb_protocol *run)
{
    const assb_mark mark = {run->log->count};
    assb_pack_copy(run->spare, run->pack);
    return mark;
}

static void go_back(assb_protocol *run, assb_mark mark)
{
    assb_pack_copy(run->pack, run->spare);
    run->log->count = mark.events;
}

/* The outlook is linear; the secant through its misses brings the held voltage home. */
static int hold(assb_protocol *run, const assb_protocol_step *step, double *current_a, double dt_s)
{
    assb_mark mark = keep(run);
    double ohm = 0, before_a = 0, before_v = 0;
    int status = move(run, *current_a, dt_s);
    for (int trial = 1; trial < TRIALS && status == ASSB_OK; trial++) {
        double at_v = run->pack->voltage_v, miss_v = step->voltage_v - at_v;
        if (fabs(miss_v) <= SAME_VOLTAGE_V)
            break;
        double secant_ohm = (at_v - before_v) / (*current_a - before_a);
        go_back(run, mark);
        if (trial == 1)
            ohm = assb_pack_outlook(run->pack, dt_s).ohm;
        else if (secant_ohm > 0.2 * ohm && secant_ohm < 5 * ohm) /* not where rounding or a filament's jump made it */
            ohm = secant_ohm;
        before_a = *current_a;
        before_v = at_v;
        *current_a = clamp(before_a + miss_v / ohm, -step->current_a, step->current_a);
        status = move(run, *current_a, dt_s);
        if (*current_a == before_a)
            break;
    }
    return status;
}

/* By how much the end voltage has been passed, V; below 0: not yet. */
static double passed_v(const assb_protocol *run, const assb_protocol_step *step, double current_a)
{
    if (!is_end(step->until_voltage_v) || current_a == 0 || (step->mode == ASSB_DRIVE && current_a > 0))
        return -INFINITY;
    double above_v = run->pack->voltage_v - step->until_voltage_v;
    return current_a > 0 ? above_v : -above_v;
}

/* dt_s in which the end voltage is just reached; a try of the whole dt_s has passed it. Regula falsi (Illinois). */
static int find_end(assb_protocol *run, const assb_protocol_step *step, double current_a, double *dt_s, assb_mark mark)
{
    double low_s = SAME_PLACE * *dt_s, high_s = *dt_s;
    double least_s = low_s, high_v = passed_v(run, step, current_a), low_v = 0;
    int side = 0;
    for (int trial = 0; trial < TRIALS; trial++) {
        double at_s = trial == 0 ? low_s : low_s + (high_s - low_s) * -low_v / (high_v - low_v);
        go_back(run, mark);
        int status = move(run, current_a, at_s);
        double at_v = passed_v(run, step, current_a);
        *dt_s = at_s;
        if (status != ASSB_OK || fabs(at_v) <= SAME_VOLTAGE_V || (trial == 0 && at_v >= 0))
            return status;
        if (trial == 0) {
            low_v = at_v;
            continue;
        }
        if (high_s - low_s <= least_s)
            return status;
        if (at_v < 0) {
            low_s = at_s;
            low_v = at_v;
            high_v *= side < 0 ? 0.5 : 1;
            side = -1;
        } else {
            high_s = at_s;
            high_v = at_v;
            low_v *= side > 0 ? 0.5 : 1;
            side = 1;
        }
    }
    return ASSB_OK;
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

/* One tick: what it moved by, and whether it is the last of its step. */
typedef struct {
    double dt_s, current_a;
    int is_last, stops;
} assb_tick;

/* Time, stop and charge cut it short; what is left by rounding is taken along. */
static void cut_short(const assb_protocol *run, const assb_protocol_step *step, assb_tick *tick)
{
    double left_s = end_of_step_s(step) - run->step_s;
    double left_stop_s = run->stop_s - run->pack->time_s;
    double room_s = tick->dt_s * (1 + SAME_TIME);
    if (left_s <= room_s) {
        tick->dt_s = left_s;
        tick->is_last = 1;
    }
    if (left_stop_s <= room_s && left_stop_s <= tick->dt_s * (1 + SAME_TIME)) {
        tick->is_last = tick->is_last && left_s <= left_stop_s;
        tick->dt_s = left_stop_s;
        tick->stops = 1;
    }
}

static void cut_by_charge(const assb_protocol *run, const assb_protocol_step *step, assb_tick *tick)
{
    if (!is_end(step->until_ah) || tick->current_a == 0)
        return;
    double end_ah = tick->current_a > 0 ? step->until_ah : -step->until_ah;
    double left_s = (end_ah - run->step_ah) / tick->current_a * SECONDS_PER_HOUR;
    if (left_s <= tick->dt_s * (1 + SAME_TIME)) {
        tick->dt_s = left_s > SAME_TIME * run->dt_s ? left_s : 0; /* rounding leaves no dt of its own */
        tick->is_last = 1;
        tick->stops = 0;
    }
}

/* Moves until the end voltage is reached, if it lies within the tick. */
static int move_to_voltage(assb_protocol *run, const assb_protocol_step *step, assb_tick *tick)
{
    assb_mark mark = keep(run);
    int status = move(run, tick->current_a, tick->dt_s);
    double passed = passed_v(run, step, tick->current_a);
    if (status != ASSB_OK || passed < 0)
        return status;
    tick->is_last = 1;
    if (passed <= SAME_VOLTAGE_V)
        return status;
    tick->stops = 0;
    return find_end(run, step, tick->current_a, &tick->dt_s, mark);
}

/* Moves the pack by one tick of the step, or by what is left of it. */
static int play(assb_protocol *run, const assb_protocol_step *step, assb_tick *tick)
{
    cut_short(run, step, tick);
    if (!(tick->dt_s > 0))
        return ASSB_OK;
    double asked_a = wanted_a(run, step, tick->dt_s);
    tick->current_a = asked_a;
    if (run->cycler != NULL)
        tick->current_a = assb_cycler_follow_a(run->cycler, run->pack->current_a, asked_a, tick->dt_s);
    cut_by_charge(run, step, tick);
    if (!(tick->dt_s > 0))
        return ASSB_OK;
    if (step->mode != ASSB_VOLTAGE)
        return is_end(step->until_voltage_v) ? move_to_voltage(run, step, tick)
                                             : move(run, tick->current_a, tick->dt_s);
    int is_free = tick->current_a == asked_a && fabs(asked_a) < step->current_a;
    int status = is_free ? hold(run, step, &tick->current_a, tick->dt_s) : move(run, tick->current_a, tick->dt_s);
    if (is_free && fabs(tick->current_a) <= step->until_current_a)
        tick->is_last = 1;
    return status;
}

static void end_tick(assb_protocol *run, const assb_protocol_step *step, const assb_tick *tick)
{
    int is_whole = !tick->is_last && !tick->stops;
    run->ticks_in_step++;
    run->step_s = is_whole ? (double)run->ticks_in_step * whole_tick_s(run, step) : run->step_s + tick->dt_s;
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
    assb_tick tick = {whole_tick_s(run, step), 0, 0, 0};
    run->status = play(run, step, &tick);
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
