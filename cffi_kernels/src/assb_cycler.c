#include "assb_cycler.h"
#include "assb_math.h"

#include <math.h> /* INFINITY, isnan */
#include <stddef.h>

/* Delays that end within rounding of now have ended. */
static double same_time_s(double time_s)
{
    return 1e-9 + 1e-14 * time_s;
}

int assb_cycler_check(const assb_cycler_params *p)
{
    const double *all = (const double *)p;
    for (size_t k = 0; k < sizeof *p / sizeof *all; k++)
        if (!(all[k] >= 0)) /* infinite: a timeout that never comes, any current */
            return ASSB_BAD_PARAMETER;
    return assb_finite(p->enable_delay_s) && assb_finite(p->limit_delay_s) && assb_finite(p->slew_a_per_s)
               ? ASSB_OK
               : ASSB_BAD_PARAMETER;
}

void assb_cycler_reset(assb_cycler_state *s)
{
    static const assb_cycler_state zero;
    *s = zero;
    s->charge.changed_s = INFINITY;
    s->discharge.changed_s = INFINITY;
}

/* A line that goes back before its delay is over has not changed. */
static void watch(assb_cycler_line *line, int level, double delay_s, double time_s)
{
    if (!level == !line->enabled) {
        line->changed_s = INFINITY;
        return;
    }
    if (line->changed_s > time_s)
        line->changed_s = time_s;
    if (time_s - line->changed_s >= delay_s - same_time_s(time_s)) {
        line->enabled = !line->enabled;
        line->changed_s = INFINITY;
    }
}

static void take_limits(const assb_cycler_params *p, assb_cycler_state *s, const assb_cycler_input *in)
{
    const assb_cycler_limit newest = {s->time_s + p->limit_delay_s, in->charge_limit_a, in->discharge_limit_a};
    const assb_cycler_limit acting = {0, s->charge_limit_a, s->discharge_limit_a};
    const assb_cycler_limit *last = s->coming_count > 0 ? &s->coming[s->coming_count - 1] : &acting;
    if (last->charge_a != newest.charge_a || last->discharge_a != newest.discharge_a) {
        if (s->coming_count == ASSB_CYCLER_COMING)
            s->coming_count--;
        s->coming[s->coming_count++] = newest;
    }
    int due = 0;
    while (due < s->coming_count && s->coming[due].at_s <= s->time_s + same_time_s(s->time_s))
        due++;
    if (due == 0)
        return;
    s->charge_limit_a = s->coming[due - 1].charge_a;
    s->discharge_limit_a = s->coming[due - 1].discharge_a;
    s->coming_count -= due;
    for (int k = 0; k < s->coming_count; k++)
        s->coming[k] = s->coming[k + due];
}

double assb_cycler_held_a(const assb_cycler_input *in, const assb_pack *pack, double dt_s)
{
    double current_a = in->wanted_a;
    double whole_v = current_a > 0 ? in->voltage_max_v : in->voltage_min_v;
    double unit_v = current_a > 0 ? in->unit_max_v : in->unit_min_v;
    double sign = current_a > 0 ? 1 : -1;
    double most = sign * current_a;
    if (assb_finite(whole_v)) {
        assb_cell_line line = assb_pack_outlook(pack, dt_s);
        most = assb_clamp(sign * (whole_v - line.volts) / line.ohm, 0, most);
    }
    for (int k = 0; k < pack->cells && assb_finite(unit_v); k++) {
        assb_cell_line line = assb_cell_outlook(&pack->cell_params[k], &pack->cell[k], dt_s);
        most = assb_clamp(sign * (unit_v - line.volts) / line.ohm, 0, most);
    }
    return sign * most;
}

double assb_cycler_follow_a(const assb_cycler_params *p, double before_a, double wanted_a, double dt_s)
{
    double room_a = p->slew_a_per_s > 0 ? p->slew_a_per_s * dt_s : INFINITY;
    double allowed_a = assb_clamp(wanted_a, -p->current_max_a, p->current_max_a);
    return assb_clamp(allowed_a, before_a - room_a, before_a + room_a);
}

int assb_cycler_step(const assb_cycler_params *p, assb_cycler_state *s, const assb_cycler_input *in,
                     const assb_pack *pack, double dt_s, double *current_a)
{
    if (!(dt_s > 0 && assb_finite(dt_s)))
        return ASSB_BAD_DT;
    if (!assb_finite(in->wanted_a) || !(in->charge_limit_a >= 0 && in->discharge_limit_a >= 0))
        return ASSB_BAD_CURRENT;
    if (isnan(in->voltage_max_v) || isnan(in->voltage_min_v) || isnan(in->unit_max_v) || isnan(in->unit_min_v))
        return ASSB_BAD_VOLTAGE;
    watch(&s->charge, in->charge_enabled, p->enable_delay_s, s->time_s);
    watch(&s->discharge, in->discharge_enabled, p->enable_delay_s, s->time_s);
    take_limits(p, s, in);
    s->time_s += dt_s;
    if (!in->connected) {
        *current_a = s->current_a = 0;
        return ASSB_OK;
    }
    int trusts = in->limit_age_s <= p->limit_timeout_s;
    double held_a = assb_cycler_held_a(in, pack, dt_s);
    double charge_a = trusts && s->charge.enabled ? s->charge_limit_a : 0;
    double discharge_a = trusts && s->discharge.enabled ? s->discharge_limit_a : 0;
    s->current_a = assb_cycler_follow_a(p, s->current_a, assb_clamp(held_a, -discharge_a, charge_a), dt_s);
    *current_a = s->current_a;
    return ASSB_OK;
}
