/* Compiled once per precision through assb_learning_f32.c and assb_learning_f64.c. Model, sources and reasons are
 * written at the twin, firmware/assb/estimation/learning.py; here are the same operations in the same order. */
#include "assb_estimator.h"
#include "assb_learning.h"

#include <stddef.h>

typedef ASSB_REAL real;
typedef ASSB_EST(params) params_t;
typedef ASSB_EST(state) state_t;
typedef ASSB_EST(sample) sample_t;
typedef ASSB_EST(learning_params) learning_params_t;
typedef ASSB_EST(learning) learning_t;

enum { SOC = 0, HYS = 3, LEAK = 4 };

#define STEP_ERROR ((real)0.03)
#define STEADY ((real)0.01)
#define STEP_ERROR_PER_S ((real)0.01)
#define END_SOC ((real)0.1)
#define END_ERROR ((real)0.1)
#define AWAY_ERROR ((real)1)
#define HOME_STEPS ((real)256)
#define RESIDUALS_MOST ((real)8)
#define LEAK_SIGMAS_SQUARED ((real)9)
#define LEAK_STEP_FRAC ((real)0.005)
#define LEAK_REST_C ((real)0.003)
#define WATCH_S ((real)200)
#define REST_MEAN_S ((real)60)
#define GRID_VAR ((real)9e-6)
#define BEYOND_MOST ((real)0.05)
#define BEYOND_DOUBT ((real)0.25)
#define OUTLIER_SQUARED ((real)25)
#define COMMON_FRAC ((real)0.5)
#define CLOCK_S ((real)10)
#define DAY_S ((real)86400)
#define LOOP_FRAC ((real)0.1)
#define SOC_UNKNOWN ((real)0.289)
#define SLOPE_LEAST_V ((real)1e-3)
#define SLOPE_MOST_V ((real)1e3)
#define VARIANCE_MOST ((real)1e12)
#define INFORMATION_LEAST ((real)1)
#define NEWTON_STEPS 8
/* Beyond these, sums and squares overflow single precision */
#define PARAMETER_MOST ((real)1e6)
#define PARAMETER_LEAST ((real)1e-9)
#define LEARNED_MOST ((real)1e12)
#define SUM_LEAST ((real)1e-3)

static real clamp(real x, real low, real high)
{
    return x < low ? low : x > high ? high : x;
}

static real magnitude(real x)
{
    return x < 0 ? -x : x;
}

/* Newton's method on x / 4^k, which lies in 0.25..1. */
real ASSB_EST(square_root)(real x)
{
    real scale = 1;
    if (!(x > 0))
        return 0;
    if (x > VARIANCE_MOST)
        x = VARIANCE_MOST;
    while (x < (real)0.25) {
        x = x * 4;
        scale = scale * (real)0.5;
    }
    while (x > 1) {
        x = x * (real)0.25;
        scale = scale * 2;
    }
    real root = (real)0.5 + (real)0.5 * x;
    for (int k = 0; k < 5; k++)
        root = (real)0.5 * (root + x / root);
    return root * scale;
}

static real resistance_var(const learning_params_t *q, const learning_t *l)
{
    real model = q->resistance_floor_frac * l->resistance_scale;
    return l->resistance_var + model * model;
}

static real drift_var(const learning_params_t *q, const learning_t *l)
{
    return q->capacity_drift_frac_per_rt_cycle * q->capacity_drift_frac_per_rt_cycle * l->cycles;
}

static real capacity_var(const learning_params_t *q, const learning_t *l)
{
    real common = l->capacity_pairs > 0 ? COMMON_FRAC / l->best_information : 0;
    return 1 / l->information + common + drift_var(q, l);
}

/* A table over SOC, between its knots. */
static real over_soc(const real *table, real soc)
{
    real place = soc * (ASSB_OCV_POINTS - 1);
    int knot = place > 0 ? (int)place : 0; /* NaN too: it must not become an index */
    if (knot > ASSB_OCV_POINTS - 2)
        knot = ASSB_OCV_POINTS - 2;
    real fraction = place - (real)knot;
    return table[knot] + fraction * (table[knot + 1] - table[knot]);
}

/* What the corrected model leaves of the measured voltage. The filter's own figure is that of the correction before
 * its states were held in their bounds. */
static real residual_v(const params_t *p, const state_t *s, const sample_t *in)
{
    real warmer_v = p->entropy_v_per_k * (in->temperature_degc - p->ocv_temperature_degc);
    real rested_v = over_soc(p->ocv_v, s->soc) + warmer_v + p->hysteresis_v * s->hysteresis;
    return in->voltage_v - (rested_v + s->v1_v + s->v2_v + s->r0_ohm * (in->current_a - s->leak_a));
}

/* Variance of the OCV at a SOC: table, sensor, and the shape of the hysteresis loop. */
static real ocv_var(const params_t *p, const learning_params_t *q)
{
    real loop_v = LOOP_FRAC * p->hysteresis_v;
    return q->ocv_sigma_v * q->ocv_sigma_v + loop_v * loop_v;
}

/* What goes wrong with this step as evidence of resistance, or ASSB_LEARNT. */
static int step_missing(const learning_params_t *q, const state_t *s, const learning_t *l, const sample_t *in,
                        real r0_ohm)
{
    real leak_v = s->r0_ohm * magnitude(s->leak_a);
    if (!(r0_ohm > 0))
        return ASSB_UNSTEADY;
    if (in->dt_s > q->step_dt_max_s)
        return ASSB_TOO_SLOW;
    if (magnitude(r0_ohm - l->previous_r0_ohm) > STEADY * r0_ohm)
        return ASSB_UNSTEADY;
    if (leak_v > LEAK_STEP_FRAC * in->voltage_v &&
        s->leak_a * s->leak_a > LEAK_SIGMAS_SQUARED * s->covariance[ASSB_UPPER(LEAK, LEAK)])
        return ASSB_LEAKING;
    return ASSB_LEARNT;
}

static void take_step(const params_t *p, const learning_params_t *q, const state_t *s, learning_t *l, real dt_s,
                      real r0_ohm, real step_a)
{
    real x = r0_ohm * step_a;
    real y = s->innovation_v - l->residual_v;
    if (l->home_r0_ohm == 0)
        l->home_r0_ohm = r0_ohm;
    real boost = clamp(s->nis_mean, 1, p->adapt_max) * (1 + 1 / l->residuals);
    real away = magnitude(r0_ohm - l->home_r0_ohm) / l->home_r0_ohm;
    real error = STEP_ERROR + STEP_ERROR_PER_S * dt_s + AWAY_ERROR * away;
    if (s->soc < END_SOC || s->soc > 1 - END_SOC)
        error = error + END_ERROR;
    real noise = boost * (p->voltage_sigma_v * p->voltage_sigma_v) + error * x * (error * x);
    real gain = l->resistance_var * x / (x * l->resistance_var * x + noise);
    real moved = magnitude(gain * y);
    if (moved > q->resistance_step_max_frac)
        gain = gain * (q->resistance_step_max_frac / moved);
    real keep = 1 - gain * x;
    l->resistance_scale = clamp(l->resistance_scale + gain * y, q->resistance_scale_min, q->resistance_scale_max);
    l->resistance_var = keep * keep * l->resistance_var + gain * gain * noise;
    l->resistance_steps = l->resistance_steps + 1;
    l->home_r0_ohm = l->home_r0_ohm + (r0_ohm - l->home_r0_ohm) / HOME_STEPS;
}

static void learn_resistance(const params_t *p, const learning_params_t *q, const state_t *s, learning_t *l,
                             const sample_t *in)
{
    real r0_ohm = s->r0_ohm / s->resistance_scale;
    real step_a = in->current_a - l->previous_a;
    if (magnitude(step_a) >= q->step_min_c * p->capacity_ah) {
        if (l->residuals > 0) {
            int missing = step_missing(q, s, l, in, r0_ohm);
            l->resistance_missing = (real)missing;
            if (missing == ASSB_LEARNT)
                take_step(p, q, s, l, in->dt_s, r0_ohm, step_a);
        }
        l->residuals = 0;
    }
    l->residuals = l->residuals < RESIDUALS_MOST ? l->residuals + 1 : RESIDUALS_MOST;
    l->residual_v = l->residual_v + (residual_v(p, s, in) - l->residual_v) / l->residuals;
    l->previous_a = in->current_a;
    l->previous_r0_ohm = r0_ohm;
}

/* What was counted since the last turn of the clock goes into the long sums, which then lose nothing to rounding. */
static void turn_clock(const params_t *p, const learning_params_t *q, const state_t *s, learning_t *l)
{
    real prior = q->resistance_prior_sigma_frac;
    real drift = q->resistance_drift_frac_per_rt_cycle;
    l->elapsed_h = l->elapsed_h + l->clock_s / (real)3600;
    l->cycles = l->cycles + (real)0.5 * l->clock_moved;
    l->charged = l->charged + l->clock_charged;
    real passed = l->clock_s / DAY_S + (real)0.5 * l->clock_moved;
    l->resistance_var = clamp(l->resistance_var + drift * drift * passed, 0, prior * prior);
    l->clock_s = 0;
    l->clock_moved = 0;
    l->clock_charged = 0;
    l->count_var = capacity_var(q, l) + q->current_gain_sigma_frac * q->current_gain_sigma_frac;
    real slope_v = clamp(over_soc(p->docv_v, s->soc), SLOPE_LEAST_V, SLOPE_MOST_V);
    real over_v = (s->r0_ohm * l->previous_a + s->v1_v + s->v2_v) / l->resistance_scale;
    real volts_var = ocv_var(p, q) + resistance_var(q, l) * over_v * over_v;
    l->ocv_soc_sigma = clamp(ASSB_EST(square_root)(volts_var) / slope_v, 0, SOC_UNKNOWN);
}

/* Returns the fraction of the nominal capacity that flowed in. */
static real count_charge(const params_t *p, const learning_params_t *q, const state_t *s, learning_t *l,
                         const sample_t *in)
{
    real moved = in->current_a * in->dt_s / ((real)3600 * p->capacity_ah);
    l->clock_moved = l->clock_moved + magnitude(moved);
    if (moved > 0) {
        moved = moved * p->coulombic_efficiency_frac;
        l->clock_charged = l->clock_charged + moved;
    }
    real y = moved + l->charge_residual;
    real sum = l->charge + y;
    l->charge_residual = y - (sum - l->charge);
    l->charge = sum;
    l->clock_s = l->clock_s + in->dt_s;
    if (l->clock_s >= CLOCK_S)
        turn_clock(p, q, s, l);
    return moved;
}

/* Share of the SOC's variance that this sample's voltage left of what was there before it. */
static real kept_of_soc(const params_t *p, const state_t *s, const learning_t *l, const sample_t *in)
{
    real counted = in->dt_s / ((real)3600 * (p->capacity_ah * s->capacity_scale));
    real noise = p->soc_noise_frac_per_rts * p->soc_noise_frac_per_rts * in->dt_s;
    real before = l->soc_var - 2 * counted * l->soc_leak_cov + counted * counted * l->leak_var + noise;
    real var = s->covariance[ASSB_UPPER(SOC, SOC)];
    return var < before ? var / before : 1;
}

/* The counted SOC is wrong by the capacity's error times what was counted since the OCV last told it. */
static void doubt_soc(state_t *s, learning_t *l, real moved, real kept)
{
    real var = s->covariance[ASSB_UPPER(SOC, SOC)];
    l->soc_sensitivity = (l->soc_sensitivity + moved / l->capacity_scale) * kept;
    l->soc_granted_var = l->soc_granted_var * kept;
    l->soc_bias = l->soc_bias + (1 - kept) * (l->ocv_soc_sigma - l->soc_bias);
    real needed = l->soc_sensitivity * l->soc_sensitivity * l->count_var;
    if (needed > l->soc_granted_var) {
        var = var + (needed - l->soc_granted_var);
        l->soc_granted_var = needed;
        s->covariance[ASSB_UPPER(SOC, SOC)] = var;
    }
    l->soc_var = var;
    l->soc_leak_cov = s->covariance[ASSB_UPPER(SOC, LEAK)];
    l->leak_var = s->covariance[ASSB_UPPER(LEAK, LEAK)];
}

/* Root of the derivative of the AWTLS cost, by Newton's method from where it was. */
static real solve_capacity(const learning_params_t *q, const learning_t *l)
{
    real k = l->c1 / l->c4;
    real a4 = k * k * k * l->c5;
    real a3 = 2 * (k * k) * l->c4 - k * k * k * l->c6 - k * l->c1;
    real a2 = 3 * (k * l->c2) - 3 * (k * k * l->c5);
    real a1 = k * k * l->c6 + l->c1 - 2 * (k * l->c3);
    real capacity = l->capacity_scale;
    for (int n = 0; n < NEWTON_STEPS; n++) {
        real value = (((a4 * capacity + a3) * capacity + a2) * capacity + a1) * capacity - l->c2;
        real slope = ((4 * a4 * capacity + 3 * a3) * capacity + 2 * a2) * capacity + a1;
        if (!(slope > 0))
            break;
        capacity = clamp(capacity - value / slope, q->capacity_scale_min, q->capacity_scale_max);
    }
    return capacity;
}

static void fade(learning_t *l, real kept)
{
    l->c1 = l->c1 * kept;
    l->c2 = l->c2 * kept;
    l->c3 = l->c3 * kept;
    l->c4 = l->c4 * kept;
    l->c5 = l->c5 * kept;
    l->c6 = l->c6 * kept;
    l->information = l->information * kept;
    l->best_information = l->best_information * kept;
}

/* x: difference in SOC, y: charge; both with their variances. */
static int take_pair(const learning_params_t *q, learning_t *l, real x, real x_var, real y, real y_var)
{
    real capacity = l->capacity_scale;
    real off = y - capacity * x;
    real noise = y_var + capacity * capacity * x_var;
    real drift = drift_var(q, l);
    if (off * off > OUTLIER_SQUARED * (noise + x * x * capacity_var(q, l))) {
        if (l->information > INFORMATION_LEAST)
            fade(l, (real)0.5);
        return ASSB_OUTLIER;
    }
    fade(l, 1 / (1 + l->information * drift));
    l->c1 = l->c1 + x * x / y_var;
    l->c2 = l->c2 + x * y / y_var;
    l->c3 = l->c3 + y * y / y_var;
    l->c4 = l->c4 + x * x / x_var;
    l->c5 = l->c5 + x * y / x_var;
    l->c6 = l->c6 + y * y / x_var;
    real told = x * x / noise;
    l->information = l->information + told;
    if (l->capacity_pairs == 0 || told > l->best_information)
        l->best_information = told;
    l->capacity_pairs = l->capacity_pairs + 1;
    l->cycles = 0;
    l->capacity_scale = solve_capacity(q, l);
    return ASSB_LEARNT;
}

static int pair_with_anchor(const learning_params_t *q, learning_t *l, real soc, real var)
{
    real x = soc - l->anchor_soc;
    real y = l->charge;
    real gain = q->current_gain_sigma_frac * y;
    real efficiency = q->efficiency_sigma_frac * l->charged;
    real offset = q->current_offset_sigma_c * l->elapsed_h;
    if (l->anchor_known == 0)
        return ASSB_ONE_ANCHOR;
    if (magnitude(x) < q->pair_min_frac)
        return ASSB_SHORT_SPAN;
    return take_pair(q, l, x, var + l->anchor_var, y, gain * gain + efficiency * efficiency + offset * offset);
}

/* SOC of a rested voltage, hysteresis and temperature taken off; beyond the table along its last slope. */
static real place_of(const params_t *p, real volts)
{
    real soc = ASSB_EST(rested_soc)(p, volts, p->ocv_temperature_degc);
    if (soc <= 0)
        return (volts - p->ocv_v[0]) / clamp(p->docv_v[0], SLOPE_LEAST_V, SLOPE_MOST_V);
    if (soc >= 1) {
        real last_v = p->docv_v[ASSB_OCV_POINTS - 1];
        return 1 + (volts - p->ocv_v[ASSB_OCV_POINTS - 1]) / clamp(last_v, SLOPE_LEAST_V, SLOPE_MOST_V);
    }
    return soc;
}

/* Variance of that SOC, from the wider side; what lies beyond the table is doubted more. */
static real place_var(const params_t *p, real volts, real volts_sigma, real soc)
{
    real up = place_of(p, volts + volts_sigma) - soc;
    real down = soc - place_of(p, volts - volts_sigma);
    real sigma = up > down ? up : down;
    real beyond = soc - clamp(soc, 0, 1);
    return sigma * sigma + BEYOND_DOUBT * beyond * beyond + GRID_VAR;
}

/* A short span keeps the older anchor, unless the charge since is known less well than the new one's SOC. */
static int keeps_anchor(const learning_params_t *q, const learning_t *l, int missing, real var)
{
    real offset = q->current_offset_sigma_c * l->elapsed_h;
    return missing == ASSB_SHORT_SPAN && l->anchor_var + offset * offset < var;
}

static void set_anchor(learning_t *l, real soc, real var)
{
    l->anchor_known = 1;
    l->anchor_soc = soc;
    l->anchor_var = var;
    l->charge = 0;
    l->charge_residual = 0;
    l->charged = 0;
    l->elapsed_h = 0;
}

/* Whether the rested voltage falls by more than its noise, what relaxation is left, and a leak that may pass. */
static int falls(const params_t *p, const state_t *s, const learning_params_t *q, const learning_t *l, real dt_s)
{
    real relaxing = q->rest_full_s / l->rest_s;
    real passes_c = LEAK_REST_C * (relaxing * relaxing);
    real passes_v = passes_c * over_soc(p->docv_v, s->soc) * ((WATCH_S + l->rest_mark_s) / (real)3600);
    real fall_v = l->rest_mid_v - l->rest_v - passes_v;
    real noise_var = p->voltage_sigma_v * p->voltage_sigma_v * (dt_s / REST_MEAN_S);
    return fall_v > 0 && fall_v * fall_v > LEAK_SIGMAS_SQUARED * noise_var;
}

static int consider_anchor(const params_t *p, const learning_params_t *q, const state_t *s, learning_t *l,
                           const sample_t *in)
{
    if (falls(p, s, q, l, in->dt_s)) {
        l->anchor_known = 0;
        return ASSB_LEAKING;
    }
    real warmer_v = p->entropy_v_per_k * (in->temperature_degc - p->ocv_temperature_degc);
    real volts = l->rest_v - p->hysteresis_v * s->hysteresis - warmer_v;
    real loop_var = p->hysteresis_v * p->hysteresis_v * s->covariance[ASSB_UPPER(HYS, HYS)];
    real left_v = l->rest_v - l->rest_mid_v; /* of the relaxation, about as much as went by lately */
    real volts_var = ocv_var(p, q) + loop_var + p->entropy_v_per_k * p->entropy_v_per_k + left_v * left_v;
    real soc = place_of(p, volts);
    real var = place_var(p, volts, ASSB_EST(square_root)(volts_var), soc);
    if (!(var <= q->anchor_sigma_max_frac * q->anchor_sigma_max_frac && soc >= -BEYOND_MOST && soc <= 1 + BEYOND_MOST))
        return ASSB_OCV_FLAT;
    turn_clock(p, q, s, l);
    int missing = pair_with_anchor(q, l, soc, var);
    if (!keeps_anchor(q, l, missing, var))
        set_anchor(l, soc, var);
    return missing;
}

static void follow_rest(const learning_params_t *q, learning_t *l, const sample_t *in)
{
    if (l->rest_s == 0) {
        l->rest_v = in->voltage_v;
        l->rest_mark_v = in->voltage_v;
        l->rest_mid_v = in->voltage_v;
        l->rest_mark_s = 0;
    }
    l->rest_v = l->rest_v + in->dt_s / (REST_MEAN_S + in->dt_s) * (in->voltage_v - l->rest_v);
    l->rest_s = clamp(l->rest_s + in->dt_s, 0, q->rest_full_s);
    l->rest_mark_s = l->rest_mark_s + in->dt_s;
    if (l->rest_mark_s >= WATCH_S) {
        l->rest_mid_v = l->rest_mark_v;
        l->rest_mark_v = l->rest_v;
        l->rest_mark_s = 0;
    }
}

/* A rest is judged at its end, or when it is as good as it gets. */
static void learn_capacity(const params_t *p, const learning_params_t *q, const state_t *s, learning_t *l,
                           const sample_t *in)
{
    int rests = magnitude(in->current_a) <= q->rest_current_c * p->capacity_ah;
    if (rests)
        follow_rest(q, l, in);
    if (l->rest_done == 0 && l->rest_s >= (rests ? q->rest_full_s : q->rest_min_s)) {
        l->rest_done = 1;
        l->capacity_missing = (real)consider_anchor(p, q, s, l, in);
    }
    if (!rests) {
        l->rest_s = 0;
        l->rest_done = 0;
    }
}

int ASSB_EST(learning_check)(const learning_params_t *q)
{
    const real *all = (const real *)q;
    const size_t count = sizeof *q / sizeof *all;
    const size_t may_be_zero = offsetof(learning_params_t, height_sigma_um) / sizeof *all;
    for (size_t k = 0; k < count; k++)
        if (!(all[k] >= 0 && all[k] <= PARAMETER_MOST))
            return ASSB_BAD_PARAMETER;
    for (size_t k = 0; k < may_be_zero; k++)
        if (!(all[k] >= PARAMETER_LEAST))
            return ASSB_BAD_PARAMETER;
    if (!(q->stack_stiffness_mpa_per_um >= PARAMETER_LEAST && q->swelling_um >= PARAMETER_LEAST))
        return ASSB_BAD_PARAMETER;
    if (!(q->resistance_scale_min <= 1 && q->resistance_scale_max >= 1 && q->capacity_scale_min <= 1 &&
          q->capacity_scale_max >= 1 && q->rest_full_s >= q->rest_min_s))
        return ASSB_BAD_PARAMETER;
    return ASSB_OK;
}

void ASSB_EST(learning_reset)(const learning_params_t *q, learning_t *l)
{
    static const learning_t zero;
    real prior_var = q->capacity_prior_sigma_frac * q->capacity_prior_sigma_frac;
    real sum = 1 / prior_var; /* a pair x = y = 1 */
    *l = zero;
    l->resistance_scale = 1;
    l->resistance_var = q->resistance_prior_sigma_frac * q->resistance_prior_sigma_frac;
    l->capacity_scale = 1;
    l->c1 = sum;
    l->c2 = sum;
    l->c3 = sum;
    l->c4 = sum;
    l->c5 = sum;
    l->c6 = sum;
    l->information = 1 / prior_var;
    l->best_information = l->information;
    l->count_var = prior_var;
    l->resistance_missing = ASSB_NO_CHANCE;
    l->capacity_missing = ASSB_NO_CHANCE;
}

int ASSB_EST(learning_restore)(const learning_params_t *q, learning_t *l, const real *learned)
{
    learning_t next;
    real *into = (real *)&next;
    real prior = q->resistance_prior_sigma_frac;
    ASSB_EST(learning_reset)(q, &next);
    for (int k = 0; k < ASSB_LEARNED; k++) {
        if (!(learned[k] >= 0 && learned[k] <= LEARNED_MOST))
            return ASSB_BAD_PARAMETER;
        into[k] = learned[k];
    }
    if (!(next.resistance_scale >= q->resistance_scale_min && next.resistance_scale <= q->resistance_scale_max &&
          next.resistance_var <= prior * prior && next.resistance_var > 0 &&
          next.capacity_scale >= q->capacity_scale_min && next.capacity_scale <= q->capacity_scale_max))
        return ASSB_BAD_PARAMETER;
    for (int k = 4; k < 12; k++) /* the sums and what they tell */
        if (!(into[k] >= SUM_LEAST))
            return ASSB_BAD_PARAMETER;
    next.count_var = capacity_var(q, &next);
    *l = next;
    return ASSB_OK;
}

void ASSB_EST(learning_lose)(learning_t *l)
{
    l->residuals = 0;
    l->rest_s = 0;
    l->rest_done = 0;
    l->anchor_known = 0;
}

void ASSB_EST(learning_update)(const params_t *p, const learning_params_t *q, state_t *s, learning_t *l,
                               const sample_t *in)
{
    learn_resistance(p, q, s, l, in);
    learn_capacity(p, q, s, l, in);
    real kept = kept_of_soc(p, s, l, in);
    doubt_soc(s, l, count_charge(p, q, s, l, in), kept);
    s->resistance_scale = l->resistance_scale;
    if (s->capacity_scale != l->capacity_scale) {
        s->capacity_scale = l->capacity_scale;
        ASSB_EST(forget)(s);
    }
}

real ASSB_EST(resistance_sigma)(const learning_params_t *q, const learning_t *l)
{
    return ASSB_EST(square_root)(resistance_var(q, l));
}

real ASSB_EST(soh_resistance_sigma)(const params_t *p, const learning_params_t *q, const learning_t *l)
{
    real fresh = p->overvoltage_sigma_frac * l->resistance_scale;
    return ASSB_EST(square_root)(resistance_var(q, l) + fresh * fresh) / (l->resistance_scale * l->resistance_scale);
}

real ASSB_EST(capacity_sigma)(const learning_params_t *q, const learning_t *l)
{
    return ASSB_EST(square_root)(capacity_var(q, l));
}

real ASSB_EST(soc_sigma)(const state_t *s, const learning_t *l)
{
    return ASSB_EST(square_root)(s->covariance[ASSB_UPPER(SOC, SOC)] + l->soc_bias * l->soc_bias + GRID_VAR);
}

#ifndef ASSB_BOARD
static void write_results(const ASSB_EST(learning_results) *out, const learning_params_t *q, const state_t *s,
                          const learning_t *l, int status, long k)
{
    if (out->soc != NULL)
        out->soc[k] = s->soc;
    if (out->soc_var != NULL)
        out->soc_var[k] = s->covariance[ASSB_UPPER(SOC, SOC)];
    if (out->soc_sigma != NULL)
        out->soc_sigma[k] = ASSB_EST(soc_sigma)(s, l);
    if (out->r0_ohm != NULL)
        out->r0_ohm[k] = s->r0_ohm;
    if (out->resistance_scale != NULL)
        out->resistance_scale[k] = l->resistance_scale;
    if (out->resistance_sigma != NULL)
        out->resistance_sigma[k] = ASSB_EST(resistance_sigma)(q, l);
    if (out->capacity_scale != NULL)
        out->capacity_scale[k] = l->capacity_scale;
    if (out->capacity_sigma != NULL)
        out->capacity_sigma[k] = ASSB_EST(capacity_sigma)(q, l);
    if (out->leak_a != NULL)
        out->leak_a[k] = s->leak_a;
    if (out->status != NULL)
        out->status[k] = status;
}

void ASSB_EST(learning_run)(const params_t *p, const learning_params_t *q, state_t *s, learning_t *l,
                            const ASSB_EST(columns) *in, const ASSB_EST(learning_results) *out, long n)
{
    for (long k = 0; k < n; k++) {
        sample_t sample = {in->voltage_v[k], in->current_a[k], in->temperature_degc[k], in->pressure_mpa[k],
                           in->dt_s[k]};
        int status = ASSB_EST(step)(p, s, &sample);
        if (status == ASSB_OK)
            ASSB_EST(learning_update)(p, q, s, l, &sample);
        write_results(out, q, s, l, status, k);
    }
}
#endif
