/* Compiled as part of assb_estimator_f32.c and assb_estimator_f64.c, whose lookups it shares. Model, sources and
 * reasons are written at the twin, firmware/assb/estimation/power.py; here are the same operations in the same order.
 */
#include "assb_power.h"

typedef ASSB_EST(power_params) power_params_t;
typedef ASSB_EST(power_ask) power_ask_t;
typedef ASSB_EST(power_limit) power_limit_t;

#define CLOSE_V ((real)1e-4) /* this near to its limit a voltage is taken to have reached it; never beyond */
#define ROUNDS 40
/* of capacity_scale; beyond, 0 times infinity would become a knot. What may be restored is within, too. */
#define SCALE_LEAST ((real)1e-3)
#define SCALE_MOST ((real)1e3)

/* Place on the axes of R0's table. */
typedef struct {
    int at;
    real ft, fp;
} place_t;

/* The model over one horizon in one direction, voltages times `sign`, so that more current always means more. */
typedef struct {
    real sign, soc, soc_per_a, turn_per_a, entropy_v;
    real hysteresis_v, hysteresis, v1_v, v2_v;
    real d1, d2, r0_ohm, r1_ohm, r2_ohm;
    real extra_a; /* a leak, where it takes from the limit */
} reach_t;

/* The smallest of some limits, and whose it is. */
typedef struct {
    real current_a;
    int bound;
} least_t;

/* Newton, from above, within 0.03 %. */
static real root(real x)
{
    real y = (real)0.015625;
    if (!(x > 0))
        return 0;
    while (y * y > x)
        y = y * (real)0.5;
    while (y * y < x)
        y = y * 2;
    for (int k = 0; k < 3; k++)
        y = (real)0.5 * (y + x / y);
    return y;
}

/* 0 at `zero`, 1 at `full`, straight between and held beyond. */
static real share(real x, real zero, real full)
{
    return clamp((x - zero) / (full - zero), 0, 1);
}

static void take(least_t *least, real current_a, int bound)
{
    if (current_a < least->current_a) {
        least->current_a = current_a;
        least->bound = bound;
    }
}

static place_t place_of(const params_t *cell, real temperature_degc, real pressure_mpa)
{
    place_t place;
    int t = locate(cell->r0_temperature_degc, ASSB_TEMPERATURE_POINTS, temperature_degc, &place.ft);
    int j = locate(cell->r0_pressure_mpa, ASSB_PRESSURE_POINTS, pressure_mpa, &place.fp);
    place.at = t * ASSB_PRESSURE_POINTS + j;
    return place;
}

static real bilinear(const real *table, const place_t *place)
{
    const real *cold = table + place->at, *warm = cold + ASSB_PRESSURE_POINTS;
    return lerp(lerp(cold[0], cold[1], place->fp), lerp(warm[0], warm[1], place->fp), place->ft);
}

/* Limits that don't depend on the horizon. */
static least_t steady_limit(const power_params_t *p, const power_ask_t *ask, real pressure_mpa, const place_t *place)
{
    real most_a = ask->charging ? p->charge_max_a : p->discharge_max_a;
    real degc = ask->temperature_degc;
    least_t least = {most_a, ASSB_BOUND_CURRENT};
    take(&least, most_a * share(degc, p->hot_zero_degc, p->hot_full_degc), ASSB_BOUND_TEMPERATURE);
    if (ask->charging)
        take(&least, most_a * share(degc, p->charge_zero_degc, p->charge_full_degc), ASSB_BOUND_TEMPERATURE);
    take(&least, most_a * share(pressure_mpa, p->contact_zero_mpa, p->contact_full_mpa), ASSB_BOUND_PRESSURE);
    take(&least, most_a * share(pressure_mpa, p->pressed_zero_mpa, p->pressed_full_mpa), ASSB_BOUND_PRESSURE);
    if (ask->charging)
        take(&least, p->critical_safety_frac * bilinear(p->plating_limit_a, place), ASSB_BOUND_PLATING);
    else
        take(&least, p->critical_safety_frac * bilinear(p->stripping_limit_a, place), ASSB_BOUND_STRIPPING);
    return least;
}

/* The largest factor of the RC resistances between the SOC and where `current_a` takes it. */
static real largest_factor(const params_t *cell, const reach_t *m, real current_a)
{
    real ahead, fraction;
    real end = clamp(m->soc + m->sign * (m->soc_per_a * (current_a + m->extra_a)), 0, 1);
    int knot = soc_knot(m->soc, &fraction);
    int last = soc_knot(end, &ahead);
    real here = lerp(cell->rc_factor[knot], cell->rc_factor[knot + 1], fraction);
    real most = lerp(cell->rc_factor[last], cell->rc_factor[last + 1], ahead);
    if (here > most)
        most = here;
    int low = knot < last ? knot : last;
    int high = knot < last ? last : knot;
    for (int k = low + 1; k <= high; k++)
        if (cell->rc_factor[k] > most)
            most = cell->rc_factor[k];
    return most;
}

/* What of an RC pair's voltage is seen at most, from now to the horizon. */
static real settled(real now_v, real d, real end_v)
{
    real change_v = d * (end_v - now_v);
    return change_v > 0 ? now_v + change_v : now_v;
}

/* Bound of the terminal voltage from now to the horizon, times sign; rises with the current. */
static real farthest_v(const params_t *cell, const reach_t *m, real current_a)
{
    real fraction;
    real inner_a = current_a + m->extra_a;
    int knot = soc_knot(clamp(m->soc + m->sign * (m->soc_per_a * inner_a), 0, 1), &fraction);
    real ocv_v = lerp(cell->ocv_v[knot], cell->ocv_v[knot + 1], fraction) + m->entropy_v;
    real turned = m->turn_per_a * inner_a;
    if (turned > 1)
        turned = 1;
    real loop_v = m->hysteresis_v * (m->hysteresis + turned * (1 - m->hysteresis));
    real rc_v = settled(m->v1_v, m->d1, m->r1_ohm * inner_a) + settled(m->v2_v, m->d2, m->r2_ohm * inner_a);
    return m->sign * ocv_v + loop_v + rc_v + m->r0_ohm * inner_a;
}

/* The largest current up to high_a that keeps the voltage at or below limit_v: the bracket's lower end. Sets what the
 * voltage reaches with it. */
static real voltage_current(const params_t *cell, const reach_t *m, real limit_v, real high_a, real *reached_v)
{
    real high_v = farthest_v(cell, m, high_a);
    *reached_v = high_v;
    if (high_v <= limit_v)
        return high_a;
    real low_a = 0;
    real low_v = farthest_v(cell, m, low_a);
    for (int round = 0; round < ROUNDS && limit_v - low_v > CLOSE_V; round++) {
        real aim_a = (real)0.5 * (low_a + high_a);
        if (round % 2 == 0)
            aim_a = low_a + (high_a - low_a) * ((limit_v - (real)0.5 * CLOSE_V - low_v) / (high_v - low_v));
        if (!(aim_a > low_a && aim_a < high_a))
            break;
        real aim_v = farthest_v(cell, m, aim_a);
        if (aim_v <= limit_v) {
            low_a = aim_a;
            low_v = aim_v;
        } else {
            high_a = aim_a;
            high_v = aim_v;
        }
    }
    *reached_v = low_v;
    return low_a;
}

/* All of the model but what depends on the horizon. */
static reach_t reach_of(const params_t *cell, const state_t *s, const power_ask_t *ask, const place_t *place)
{
    reach_t m;
    real sign = ask->charging ? 1 : -1;
    real leak_a = -sign * s->leak_a;
    m.sign = sign;
    m.soc = s->soc;
    m.entropy_v = cell->entropy_v_per_k * (ask->temperature_degc - cell->ocv_temperature_degc);
    m.hysteresis_v = cell->hysteresis_v;
    m.hysteresis = sign * s->hysteresis;
    m.v1_v = sign * s->v1_v;
    m.v2_v = sign * s->v2_v;
    m.r0_ohm = s->resistance_scale * bilinear(cell->r0_ohm, place);
    m.extra_a = leak_a > 0 ? leak_a : 0;
    m.soc_per_a = m.turn_per_a = m.d1 = m.d2 = m.r1_ohm = m.r2_ohm = 0;
    return m;
}

static void set_horizon(const params_t *cell, const state_t *s, reach_t *m, real horizon_s)
{
    real per_a = horizon_s / ((real)3600 * cell->capacity_ah) / s->capacity_scale;
    m->soc_per_a = m->sign > 0 ? per_a * cell->coulombic_efficiency_frac : per_a;
    m->turn_per_a = per_a * cell->hysteresis_rate;
    m->d1 = one_minus_exp(horizon_s / cell->tau1_s);
    m->d2 = one_minus_exp(horizon_s / cell->tau2_s);
}

int ASSB_EST(power_check)(const power_params_t *p)
{
    const real *all = (const real *)p;
    const real not_negative[] = {
        p->charge_max_a,      p->discharge_max_a,       p->soc_min_frac,         (real)1 - p->soc_max_frac,
        p->soc_margin_sigmas, p->voltage_margin_sigmas, p->critical_safety_frac, (real)1 - p->critical_safety_frac,
    };
    for (size_t k = 0; k < sizeof *p / sizeof *all; k++)
        if (!(all[k] - all[k] == 0))
            return ASSB_BAD_PARAMETER;
    for (size_t k = 0; k < sizeof not_negative / sizeof *not_negative; k++)
        if (not_negative[k] < 0)
            return ASSB_BAD_PARAMETER;
    for (int k = 0; k < ASSB_R0_POINTS; k++)
        if (p->plating_limit_a[k] < 0 || p->stripping_limit_a[k] < 0)
            return ASSB_BAD_PARAMETER;
    int in_order = p->soc_min_frac < p->soc_max_frac && p->window_min_v < p->window_max_v &&
                   p->charge_zero_degc < p->charge_full_degc && p->hot_full_degc < p->hot_zero_degc &&
                   p->contact_zero_mpa < p->contact_full_mpa && p->contact_full_mpa <= p->pressed_full_mpa &&
                   p->pressed_full_mpa < p->pressed_zero_mpa;
    return in_order ? ASSB_OK : ASSB_BAD_PARAMETER;
}

static int ask_status(const params_t *cell, const state_t *s, const power_ask_t *ask)
{
    real state = s->soc + s->v1_v + s->v2_v + s->hysteresis + s->leak_a + s->resistance_scale + s->innovation_var;
    if (!(state - state == 0 && within(s->soc, 0, 1) && within(s->capacity_scale, SCALE_LEAST, SCALE_MOST)))
        return ASSB_BAD_PARAMETER;
    if (!within(ask->temperature_degc, cell->temperature_min_degc, cell->temperature_max_degc))
        return ASSB_BAD_TEMPERATURE;
    if (ask->pressure_known && !within(ask->pressure_mpa, PRESSURE_ZERO_MPA, cell->pressure_max_mpa))
        return ASSB_BAD_PRESSURE;
    return ASSB_OK;
}

int ASSB_EST(power_limits)(const params_t *cell, const power_params_t *p, const state_t *s, const power_ask_t *ask,
                           power_limit_t *limit)
{
    static const real horizon_s[ASSB_HORIZONS] = {2, 10, 30};
    int status = ask_status(cell, s, ask);
    if (status != ASSB_OK)
        return status;
    real pressure_mpa = ask->pressure_known ? ask->pressure_mpa : p->contact_full_mpa;
    place_t place = place_of(cell, ask->temperature_degc, pressure_mpa);
    int t = place.at / ASSB_PRESSURE_POINTS;
    real rc1_ohm = s->resistance_scale * lerp(cell->r1_ohm[t], cell->r1_ohm[t + 1], place.ft);
    real rc2_ohm = s->resistance_scale * lerp(cell->r2_ohm[t], cell->r2_ohm[t + 1], place.ft);
    reach_t m = reach_of(cell, s, ask, &place);
    least_t least = steady_limit(p, ask, pressure_mpa, &place);
    real room = m.sign > 0 ? p->soc_max_frac - s->soc : s->soc - p->soc_min_frac;
    real limit_v = m.sign > 0 ? p->window_max_v : -p->window_min_v;
    if (p->soc_margin_sigmas > 0)
        room = room - p->soc_margin_sigmas * root(s->covariance[ASSB_UPPER(SOC, SOC)]);
    if (p->voltage_margin_sigmas > 0)
        limit_v = limit_v - p->voltage_margin_sigmas * root(s->innovation_var);
    for (int k = 0; k < ASSB_HORIZONS; k++) {
        set_horizon(cell, s, &m, horizon_s[k]);
        real soc_a = room / m.soc_per_a - m.extra_a;
        take(&least, soc_a > 0 ? soc_a : 0, ASSB_BOUND_SOC);
        real factor = largest_factor(cell, &m, least.current_a);
        m.r1_ohm = factor * rc1_ohm;
        m.r2_ohm = factor * rc2_ohm;
        real reached_v;
        take(&least, voltage_current(cell, &m, limit_v, least.current_a, &reached_v), ASSB_BOUND_VOLTAGE);
        limit->current_a[k] = least.current_a;
        limit->voltage_v[k] = m.sign * reached_v;
        limit->power_w[k] = limit->voltage_v[k] * least.current_a;
        limit->bound[k] = least.bound;
    }
    return ASSB_OK;
}
