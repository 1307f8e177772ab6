#include "assb_trial.h"
#include "assb_cycler.h"
#include "assb_math.h"

#include <math.h> /* fabs, INFINITY, isnan */
#include <stddef.h>

enum { NOISE_STREAM = 0, RIPPLE_STREAM = 1, CHANCE_STREAM = 2 };

static int channels_of(const assb_trial *t)
{
    return t->leads + 2 + t->pack->stacks;
}

static double *level_of(const assb_trial *trial, int kind, int at)
{
    assb_trial *t = (assb_trial *)trial;
    switch (kind) {
    case ASSB_TRIAL_SHORT_S:
        return &t->pack->short_s[at];
    case ASSB_TRIAL_THETA:
        return &t->theta_least[at];
    case ASSB_TRIAL_AIM_MPA:
        return &t->aim_mpa[at];
    case ASSB_TRIAL_AMBIENT_DEGC:
        return &t->ambient_degc;
    case ASSB_TRIAL_RIPPLE_A:
        return &t->ripple_a;
    case ASSB_TRIAL_OFFSET:
        return &t->channel[at].faults.offset_fault;
    case ASSB_TRIAL_GAIN:
        return &t->channel[at].faults.gain_fault;
    case ASSB_TRIAL_NOISE:
        return &t->channel[at].faults.noise_fault_rms;
    case ASSB_TRIAL_STUCK:
        return &t->channel[at].stuck;
    default:
        return &t->channel[at].params.dropout_frac;
    }
}

static int count_of(const assb_trial *t, int kind)
{
    if (kind == ASSB_TRIAL_SHORT_S || kind == ASSB_TRIAL_THETA)
        return t->pack->cells;
    if (kind == ASSB_TRIAL_AIM_MPA)
        return t->pack->stacks;
    return kind == ASSB_TRIAL_AMBIENT_DEGC || kind == ASSB_TRIAL_RIPPLE_A ? 1 : channels_of(t);
}

static int is_sound_phase(const assb_trial_phase *p)
{
    int is_timed = p->ticks >= 1 && !isnan(p->until_a);
    int is_held = p->ceiling_v > p->floor_v;
    int has_drive = p->drive_a == NULL || (p->drive_n >= 1 && p->drive_ticks >= 1);
    return is_timed && is_held && has_drive && fabs(p->current_a) <= ASSB_CURRENT_MOST_A;
}

static int is_sound_change(const assb_trial *t, long k)
{
    const assb_trial_change *c = &t->changes[k];
    int is_kind = c->kind >= ASSB_TRIAL_SHORT_S && c->kind <= ASSB_TRIAL_DROPOUT;
    int is_timed = c->tick >= (k > 0 ? t->changes[k - 1].tick : 0) && c->ramp_ticks >= 0;
    int is_least = c->kind == ASSB_TRIAL_OFFSET || c->kind == ASSB_TRIAL_AMBIENT_DEGC || c->kind == ASSB_TRIAL_GAIN ||
                   c->value >= 0;
    int is_most = (c->kind != ASSB_TRIAL_THETA && c->kind != ASSB_TRIAL_DROPOUT) || c->value < 1;
    return is_kind && is_timed && assb_finite(c->value) && is_least && is_most && c->at >= 0 &&
           c->at < count_of(t, c->kind) && (!c->by_factors || c->value > 0);
}

int assb_trial_check(const assb_trial *t, long *at)
{
    *at = -1;
    if (!(t->dt_s >= ASSB_DT_LEAST_S && t->dt_s <= ASSB_DT_MOST_S))
        return ASSB_BAD_DT;
    if ((t->leads != t->pack->cells && t->leads != 1) || t->phase_count < 1 || t->loop_from < 0 ||
        t->loop_from >= t->phase_count)
        return ASSB_BAD_PROTOCOL;
    for (int k = 0; k < channels_of(t); k++) {
        *at = k;
        if (assb_sensor_check(&t->channel[k].params) != ASSB_OK || t->channel[k].samples < 1)
            return ASSB_BAD_PARAMETER;
    }
    for (long k = 0; k < t->phase_count + t->change_count; k++) {
        *at = k;
        if (k < t->phase_count ? !is_sound_phase(&t->phases[k]) : !is_sound_change(t, k - t->phase_count))
            return ASSB_BAD_PROTOCOL;
    }
    return ASSB_OK;
}

void assb_trial_begin(assb_trial *t, uint64_t seed)
{
    assb_random_seed(&t->noise.random, seed, NOISE_STREAM);
    assb_random_seed(&t->ripple.random, seed, RIPPLE_STREAM);
    assb_random_seed(&t->chance, seed, CHANCE_STREAM);
}

/* A new change ends what was on its way to the same level. */
static void take_change(assb_trial *t, const assb_trial_change *change)
{
    double *level = level_of(t, change->kind, change->at);
    long kept = 0;
    for (long k = 0; k < t->ramp_count; k++)
        if (t->ramps[k].level != level)
            t->ramps[kept++] = t->ramps[k];
    const assb_trial_ramp ramp = {level, *level, change->value, change->tick, change->ramp_ticks, change->by_factors};
    t->ramps[kept++] = ramp;
    t->ramp_count = kept;
    t->holds_theta |= change->kind == ASSB_TRIAL_THETA;
}

/* The level over the tick that begins now; an end reached is exactly the value asked for. */
static double on_ramp(const assb_trial_ramp *r, long tick)
{
    double share = (double)(tick - r->begin + 1) / (double)(r->ticks > 0 ? r->ticks : 1);
    if (share >= 1)
        return r->to;
    if (r->by_factors && r->from > 0)
        return r->from * assb_exp(share * assb_log(r->to / r->from));
    return r->from + share * (r->to - r->from);
}

static void move_levels(assb_trial *t)
{
    while (t->next_change < t->change_count && t->changes[t->next_change].tick <= t->tick)
        take_change(t, &t->changes[t->next_change++]);
    long kept = 0;
    for (long k = 0; k < t->ramp_count; k++) {
        assb_trial_ramp *r = &t->ramps[k];
        *r->level = on_ramp(r, t->tick);
        if (t->tick + 1 < r->begin + r->ticks)
            t->ramps[kept++] = *r;
    }
    t->ramp_count = kept;
    for (int k = 0; k < t->pack->stacks; k++)
        t->pack->actuator_input[k].aim_mpa = t->aim_mpa[k] * t->aim_gain;
}

/* Contact that is lost for another reason than stripping. What the cell has lost by itself beyond that stays. */
static void hold_theta(assb_trial *t)
{
    for (int k = 0; k < t->pack->cells; k++) {
        double *theta = &t->pack->cell[k].theta;
        if (*theta < t->theta_least[k] || *theta <= t->theta_held[k])
            *theta = t->theta_least[k];
        t->theta_held[k] = t->theta_least[k];
    }
}

static double wanted_a(const assb_trial *t, const assb_trial_phase *phase)
{
    if (phase->drive_a == NULL)
        return phase->current_a;
    return phase->drive_a[t->ticks_in_phase / phase->drive_ticks % phase->drive_n];
}

static double held_a(const assb_trial *t, const assb_trial_phase *phase, double current_a)
{
    if (current_a == 0)
        return 0;
    int is_tapped = t->leads == t->pack->cells;
    double whole_ceiling_v = is_tapped ? INFINITY : t->pack->cells * phase->ceiling_v;
    double whole_floor_v = is_tapped ? -INFINITY : t->pack->cells * phase->floor_v;
    const assb_cycler_input in = {current_a,
                                  whole_ceiling_v,
                                  whole_floor_v,
                                  is_tapped ? phase->ceiling_v : INFINITY,
                                  is_tapped ? phase->floor_v : -INFINITY,
                                  1,
                                  1,
                                  0,
                                  0,
                                  0,
                                  1};
    return assb_cycler_held_a(&in, t->pack, t->dt_s);
}

static void move_phase(assb_trial *t, const assb_trial_phase *phase, double current_a)
{
    t->ticks_in_phase++;
    if (t->ticks_in_phase < phase->ticks && fabs(current_a) > phase->until_a)
        return;
    t->ticks_in_phase = 0;
    t->phase = t->phase + 1 < t->phase_count ? t->phase + 1 : t->loop_from;
}

static double seen_v(const assb_trial *t, int lead)
{
    if (t->leads == t->pack->cells)
        return t->pack->cell[lead].mean_voltage_v;
    double sum_v = 0;
    for (int k = 0; k < t->pack->cells; k++)
        sum_v += t->pack->cell[k].mean_voltage_v;
    return sum_v;
}

static void show(assb_trial *t, const assb_trial_columns *out, long row)
{
    const assb_pack *pack = t->pack;
    assb_trial_channel *channel = t->channel;
    out->time_s[row] = (double)(t->tick + 1) * t->dt_s;
    for (int k = 0; k < t->leads; k++)
        out->voltage_v[row * t->leads + k] = assb_trial_read(t, channel++, seen_v(t, k));
    out->current_a[row] = assb_trial_read(t, channel++, pack->current_a);
    out->temperature_degc[row] = assb_trial_read(t, channel++, pack->cell[0].surface_degc);
    for (int k = 0; k < pack->stacks; k++) {
        long at = row * pack->stacks + k;
        out->pressure_mpa[at] = assb_trial_read(t, channel++, pack->stack[k].pressure_mpa);
        out->gap_um[at] = pack->actuator[k].steps * t->um_per_step[k];
        out->aim_mpa[at] = t->aim_mpa[k];
    }
}

static int log_status(const assb_trial *t)
{
    long room = (long)(ASSB_TOLD_MOST + 1) * t->pack->cells; /* as assb_pack_step asks for */
    return t->log->capacity - t->log->count < room ? ASSB_LOG_FULL : ASSB_OK;
}

static int move(assb_trial *t)
{
    int status = log_status(t); /* before anything of this tick happens */
    if (status != ASSB_OK)
        return status;
    if (t->ramp_count > 0 || t->tick == 0 ||
        (t->next_change < t->change_count && t->changes[t->next_change].tick <= t->tick))
        move_levels(t);
    const assb_trial_phase *phase = &t->phases[t->phase];
    double current_a = t->rests ? 0 : held_a(t, phase, wanted_a(t, phase));
    double rippled_a = t->ripple_a > 0 ? current_a + t->ripple_a * assb_trial_normal(&t->ripple) : current_a;
    const assb_pack_input in = {rippled_a, t->ambient_degc, 0};
    status = assb_pack_step(t->pack, &in, t->log, t->dt_s);
    if (status != ASSB_OK)
        return status;
    if (t->holds_theta)
        hold_theta(t);
    if (!t->rests)
        move_phase(t, phase, current_a);
    return ASSB_OK;
}

long assb_trial_run(assb_trial *t, const assb_trial_columns *out, const assb_sink *sinks, int sink_count, long first,
                    long n, int *status)
{
    *status = ASSB_OK;
    for (long row = first; row < n; row++) {
        *status = move(t);
        if (*status != ASSB_OK)
            return row;
        show(t, out, row);
        assb_pack_row(sinks, sink_count, row);
        t->tick++;
    }
    return n;
}
