#include "assb_protocol.h"
#include "assb_math.h"

#include <math.h> /* ceil, fabs, isnan, INFINITY */
#include <stddef.h>

#define SECONDS_PER_HOUR 3600.0
#define SAME_TIME 1e-6 /* of a dt: what is left of a step by rounding goes into its last dt */
#define SAME_VOLTAGE_V 1e-6
#define SAME_CHARGE 1e-9 /* of a dt, in which it would flow */
#define SAME_PLACE 1e-4  /* of a dt, in which a voltage is passed */
#define TRIALS 40        /* to find a current or a time; each one halves the bracket at worst */

/* Samples of a drive column are cut into equal pieces of at most dt_s. */
static long pieces_of(const assb_protocol *run, const assb_protocol_step *step)
{
    double pieces = step->mode == ASSB_DRIVE ? ceil(step->drive_dt_s / run->dt_s - SAME_TIME) : 1;
    return pieces > 1 ? (long)pieces : 1;
}

double assb_protocol_whole_tick_s(const assb_protocol *run, const assb_protocol_step *step)
{
    return step->mode == ASSB_DRIVE ? step->drive_dt_s / (double)pieces_of(run, step) : run->dt_s;
}

static double end_of_step_s(const assb_protocol_step *step)
{
    if (step->mode == ASSB_DRIVE && isnan(step->until_s))
        return step->drive_dt_s * (double)step->drive_n;
    return assb_finite(step->until_s) ? step->until_s : INFINITY;
}

static double sample_a(const assb_protocol *run, const assb_protocol_step *step)
{
    return step->drive_a[run->ticks_in_step / pieces_of(run, step) % step->drive_n];
}

/* The current that a step asks for over the next dt_s. */
static double wanted_a(const assb_protocol *run, const assb_protocol_step *step, double dt_s)
{
    if (step->mode == ASSB_CURRENT)
        return step->current_a;
    if (step->mode == ASSB_VOLTAGE) {
        assb_cell_line line = assb_pack_outlook(run->pack, dt_s);
        return assb_clamp((step->voltage_v - line.volts) / line.ohm, -step->current_a, step->current_a);
    }
    if (step->mode == ASSB_DRIVE) {
        double current_a = sample_a(run, step);
        double ceiling_v = isnan(run->limits.voltage_max_v) ? INFINITY : run->limits.voltage_max_v;
        assb_cycler_input in = {current_a, INFINITY, -INFINITY, ceiling_v, -INFINITY, 1, 1, 0, 0, 0, 1};
        return current_a > 0 ? assb_cycler_held_a(&in, run->pack, dt_s) : current_a;
    }
    return 0;
}

/* A held voltage gives way where the first cell has reached its own. */
static double spared_a(const assb_protocol *run, const assb_protocol_step *step, double current_a, double dt_s)
{
    double unit_v = step->until_unit_voltage_v;
    assb_cycler_input in = {current_a, INFINITY, -INFINITY, unit_v, unit_v, 1, 1, 0, 0, 0, 1};
    return assb_finite(unit_v) ? assb_cycler_held_a(&in, run->pack, dt_s) : current_a;
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
        else if (secant_ohm > 0.2 * ohm) /* else rounding or a filament's jump made it; a kink may well be steep */
            ohm = secant_ohm;
        before_a = *current_a;
        before_v = at_v;
        *current_a = assb_clamp(before_a + miss_v / ohm, -step->current_a, step->current_a);
        status = move(run, *current_a, dt_s);
        if (*current_a == before_a)
            break;
    }
    return status;
}

/* What a held voltage lets flow is known afterwards: dt_s is sought that ends at the step's charge, at most longest_s.
 */
static int hold_to_charge(assb_protocol *run, const assb_protocol_step *step, assb_tick *tick, assb_tick longest)
{
    assb_mark mark = keep(run);
    int status = hold(run, step, &tick->current_a, tick->dt_s);
    for (int trial = 0; trial < TRIALS && status == ASSB_OK && assb_finite(step->until_ah); trial++) {
        double end_ah = tick->current_a > 0 ? step->until_ah : -step->until_ah;
        double left_s = (end_ah - run->step_ah) / tick->current_a * SECONDS_PER_HOUR;
        int is_enough = left_s <= longest.dt_s; /* not without a current */
        double next_s = is_enough ? fmax(left_s, ASSB_DT_LEAST_S) : longest.dt_s;
        double change_s = fabs(next_s - tick->dt_s);
        tick->is_last = is_enough || longest.is_last;
        tick->stops = !is_enough && longest.stops;
        if (change_s <= SAME_CHARGE * longest.dt_s)
            break;
        go_back(run, mark);
        tick->dt_s = next_s;
        status = hold(run, step, &tick->current_a, next_s);
    }
    return status;
}

static int has_end_voltage(const assb_protocol_step *step)
{
    return assb_finite(step->until_voltage_v) || assb_finite(step->until_unit_voltage_v);
}

/* By how much the end voltage has been passed, V; below 0: not yet. */
static double passed_v(const assb_protocol *run, const assb_protocol_step *step, double current_a)
{
    double most_v = -INFINITY, sign = current_a > 0 ? 1 : -1;
    if (current_a == 0 || (step->mode == ASSB_DRIVE && current_a > 0))
        return most_v;
    if (assb_finite(step->until_voltage_v))
        most_v = sign * (run->pack->voltage_v - step->until_voltage_v);
    for (int k = 0; k < run->pack->cells && assb_finite(step->until_unit_voltage_v); k++) {
        double unit_v = sign * (run->pack->cell[k].voltage_v - step->until_unit_voltage_v);
        most_v = unit_v > most_v ? unit_v : most_v;
    }
    return most_v;
}

/* dt_s in which the end voltage is just reached; a try of the whole dt_s has passed it. Regula falsi (Illinois).
 * 0, and nothing has moved, where the current alone passes it: then the next step has to take over at once. */
static int find_end(assb_protocol *run, const assb_protocol_step *step, double current_a, double *dt_s, assb_mark mark)
{
    double low_s = assb_clamp(SAME_PLACE * *dt_s, ASSB_DT_LEAST_S, *dt_s), high_s = *dt_s;
    double least_s = low_s, high_v = passed_v(run, step, current_a), low_v = 0;
    int side = 0;
    for (int trial = 0; trial < TRIALS; trial++) {
        double at_s = trial == 0 ? low_s : low_s + (high_s - low_s) * -low_v / (high_v - low_v);
        go_back(run, mark);
        int status = move(run, current_a, at_s);
        double at_v = passed_v(run, step, current_a);
        *dt_s = at_s;
        if (status != ASSB_OK || fabs(at_v) <= SAME_VOLTAGE_V)
            return status;
        if (trial == 0 && at_v > 0) {
            go_back(run, mark);
            *dt_s = 0;
            return ASSB_OK;
        }
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
    if (tick->dt_s < ASSB_DT_LEAST_S)
        tick->dt_s = 0; /* no plant takes so short a step: it is done */
}

static void cut_by_charge(const assb_protocol *run, const assb_protocol_step *step, assb_tick *tick)
{
    if (!assb_finite(step->until_ah) || tick->current_a == 0)
        return;
    double end_ah = tick->current_a > 0 ? step->until_ah : -step->until_ah;
    double left_s = (end_ah - run->step_ah) / tick->current_a * SECONDS_PER_HOUR;
    if (left_s <= tick->dt_s * (1 + SAME_TIME)) {
        tick->dt_s = left_s > SAME_TIME * run->dt_s && left_s >= ASSB_DT_LEAST_S ? left_s : 0; /* rounding has no dt */
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

int assb_protocol_play(assb_protocol *run, const assb_protocol_step *step, assb_tick *tick)
{
    cut_short(run, step, tick);
    if (!(tick->dt_s > 0))
        return ASSB_OK;
    double whole_a = wanted_a(run, step, tick->dt_s);
    double asked_a = step->mode == ASSB_VOLTAGE ? spared_a(run, step, whole_a, tick->dt_s) : whole_a;
    tick->current_a = asked_a;
    if (run->cycler != NULL)
        tick->current_a = assb_cycler_follow_a(run->cycler, run->pack->current_a, asked_a, tick->dt_s);
    const assb_tick longest = *tick;
    cut_by_charge(run, step, tick);
    if (!(tick->dt_s > 0))
        return ASSB_OK;
    if (step->mode != ASSB_VOLTAGE)
        return has_end_voltage(step) ? move_to_voltage(run, step, tick) : move(run, tick->current_a, tick->dt_s);
    int is_free = tick->current_a == asked_a && fabs(asked_a) < step->current_a;
    int status = is_free && asked_a == whole_a ? hold_to_charge(run, step, tick, longest)
                                               : move(run, tick->current_a, tick->dt_s);
    if (is_free && fabs(tick->current_a) <= step->until_current_a)
        tick->is_last = 1;
    return status;
}
