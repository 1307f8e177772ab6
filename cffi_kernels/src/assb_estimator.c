/* Compiled once per precision through assb_estimator_f32.c and assb_estimator_f64.c. Model, sources and reasons are
 * written at the twin, firmware/assb/estimation/ekf.py; here are the same operations in the same order. */
#include "assb_estimator.h"

#include <stddef.h>

typedef ASSB_REAL real;
typedef ASSB_EST(params) params_t;
typedef ASSB_EST(state) state_t;
typedef ASSB_EST(sample) sample_t;

enum { SOC, V1, V2, HYS, LEAK };

#define PRESSURE_ZERO_MPA (-(real)1) /* a load cell may read a little below zero */
#define VARIANCE_FLOOR ((real)1e-14) /* rounding must not make a variance negative */
#define BEND_WEIGHT ((real)20)
#define SETTLING_S ((real)10)
#define SETTLING_SOC_SIGMA ((real)0.1)
#define HYSTERESIS_UNKNOWN ((real)0.333) /* variance of a uniform -1..1 */

typedef struct {
    real r0_ohm, r1_ohm, r2_ohm;
} resistance_t;

/* What one voltage sample says. */
typedef struct {
    real h[ASSB_STATES];    /* dV/dstate */
    real b[ASSB_STATES];    /* P h */
    real c[ASSB_STATES];    /* covariance of the states with the voltage */
    real gain[ASSB_STATES]; /* c over the voltage's variance */
    real drop_v;            /* dV by the relative error of R0 ... */
    real ohm_var;           /* ... its variance, and ... */
    real seen;              /* ... its covariance with h x */
    real noise_var;
} observation_t;

static int within(real x, real low, real high)
{
    return x >= low && x <= high; /* false for NaN */
}

static real clamp(real x, real low, real high)
{
    return x < low ? low : x > high ? high : x;
}

/* 1 - exp(-x), x >= 0: the [3/3] Pade form on x / 2^k, then k times d = d (2 - d). Absolute error below 1e-9. */
static real one_minus_exp(real x)
{
    int halvings = 0;
    if (x > (real)64)
        return 1;
    while (x > (real)0.25) {
        x = x * (real)0.5;
        halvings++;
    }
    real square = x * x;
    real d = x * ((real)120 + (real)2 * square) / ((real)120 + (real)12 * square + x * ((real)60 + square));
    while (halvings > 0) {
        d = d * ((real)2 - d);
        halvings--;
    }
    return d;
}

static real lerp(real a, real b, real fraction)
{
    return a + fraction * (b - a);
}

/* Cell of x on a rising axis, and its place inside; held at the ends. */
static int locate(const real *axis, int count, real x, real *fraction)
{
    int k = 0;
    if (x <= axis[0]) {
        *fraction = 0;
        return 0;
    }
    if (x >= axis[count - 1]) {
        *fraction = 1;
        return count - 2;
    }
    while (x >= axis[k + 1])
        k++;
    *fraction = (x - axis[k]) / (axis[k + 1] - axis[k]);
    return k;
}

/* Cell of the SOC tables, and the place inside. */
static int soc_knot(real soc, real *fraction)
{
    real place = soc * (ASSB_OCV_POINTS - 1);
    int knot = (int)place;
    if (knot > ASSB_OCV_POINTS - 2)
        knot = ASSB_OCV_POINTS - 2;
    *fraction = place - (real)knot;
    return knot;
}

static resistance_t resistances(const params_t *p, const state_t *s, real temperature_degc, real pressure_mpa)
{
    resistance_t r;
    real ft, fp, fz;
    int t = locate(p->r0_temperature_degc, ASSB_TEMPERATURE_POINTS, temperature_degc, &ft);
    int j = locate(p->r0_pressure_mpa, ASSB_PRESSURE_POINTS, pressure_mpa, &fp);
    const real *cold = p->r0_ohm + t * ASSB_PRESSURE_POINTS + j;
    const real *warm = cold + ASSB_PRESSURE_POINTS;
    int knot = soc_knot(s->soc, &fz);
    real rc_scale = s->resistance_scale * lerp(p->rc_factor[knot], p->rc_factor[knot + 1], fz);
    r.r0_ohm = s->resistance_scale * lerp(lerp(cold[0], cold[1], fp), lerp(warm[0], warm[1], fp), ft);
    r.r1_ohm = rc_scale * lerp(p->r1_ohm[t], p->r1_ohm[t + 1], ft);
    r.r2_ohm = rc_scale * lerp(p->r2_ohm[t], p->r2_ohm[t + 1], ft);
    return r;
}

/* Compensated sum, so that float32 keeps increments below half an ulp of SOC. */
static void add_soc(state_t *s, real increment)
{
    real y = increment + s->soc_residual;
    real sum = s->soc + y;
    s->soc_residual = y - (sum - s->soc);
    s->soc = sum;
    if (sum < 0 || sum > (real)1) {
        s->soc = clamp(sum, 0, 1);
        s->soc_residual = 0;
    }
}

static int sample_status(const params_t *p, const sample_t *in)
{
    if (!(in->dt_s > 0 && in->dt_s <= p->dt_max_s))
        return ASSB_BAD_DT;
    if (!within(in->current_a, -p->current_max_a, p->current_max_a))
        return ASSB_BAD_CURRENT;
    if (!within(in->temperature_degc, p->temperature_min_degc, p->temperature_max_degc))
        return ASSB_BAD_TEMPERATURE;
    if (!within(in->pressure_mpa, PRESSURE_ZERO_MPA, p->pressure_max_mpa))
        return ASSB_BAD_PRESSURE;
    return ASSB_OK;
}

static void time_update(const params_t *p, state_t *s, const sample_t *in, const resistance_t *r)
{
    real dt = in->dt_s;
    real inner_a = in->current_a - s->leak_a;
    real sign = inner_a > 0 ? 1 : inner_a < 0 ? -1 : 0;
    real per_a = dt / ((real)3600 * (p->capacity_ah * s->capacity_scale));
    real counted = inner_a > 0 ? per_a * p->coulombic_efficiency_frac : per_a;
    real turn = per_a * p->hysteresis_rate;
    real d1 = one_minus_exp(dt / p->tau1_s);
    real d2 = one_minus_exp(dt / p->tau2_s);
    real dh = one_minus_exp(turn * (inner_a * sign));
    real dl = one_minus_exp(dt / p->leak_tau_s);

    /* x' = f x + g leak, for the four states that the leak drives; leak' = keep leak */
    real keep = 1 - dl;
    real f[4] = {1, 1 - d1, 1 - d2, 1 - dh};
    real g[4] = {-counted, -d1 * r->r1_ohm, -d2 * r->r2_ohm, -(sign - s->hysteresis) * f[HYS] * turn * sign};

    add_soc(s, counted * inner_a);
    s->v1_v = s->v1_v + d1 * (r->r1_ohm * inner_a - s->v1_v);
    s->v2_v = s->v2_v + d2 * (r->r2_ohm * inner_a - s->v2_v);
    s->hysteresis = s->hysteresis + dh * (sign - s->hysteresis);
    s->leak_a = s->leak_a - dl * s->leak_a;

    real(*cov)[ASSB_STATES] = s->covariance;
    real leak_var = cov[LEAK][LEAK];
    real cross[4] = {cov[SOC][LEAK], cov[V1][LEAK], cov[V2][LEAK], cov[HYS][LEAK]};
    real moved[4];
    for (int a = 0; a < 4; a++)
        moved[a] = f[a] * cross[a] + g[a] * leak_var;
    for (int a = 0; a < 4; a++) {
        for (int b = a; b < 4; b++) {
            real value = f[a] * (f[b] * cov[a][b] + g[b] * cross[a]) + g[a] * moved[b];
            cov[a][b] = value;
            cov[b][a] = value;
        }
    }
    for (int a = 0; a < 4; a++) {
        cov[a][LEAK] = keep * moved[a];
        cov[LEAK][a] = cov[a][LEAK];
    }

    real *ohm = s->resistance_cross;
    for (int a = 0; a < 4; a++)
        ohm[a] = f[a] * ohm[a] + g[a] * ohm[LEAK];
    ohm[LEAK] = keep * ohm[LEAK];

    real boost = clamp(s->nis_mean, 1, p->adapt_max);
    real floor_var = p->rc_sigma_v * p->rc_sigma_v;
    real drift1_v = p->overvoltage_sigma_frac * r->r1_ohm * inner_a;
    real drift2_v = p->overvoltage_sigma_frac * (r->r0_ohm + r->r2_ohm) * inner_a;
    cov[SOC][SOC] = cov[SOC][SOC] + p->soc_noise_frac_per_rts * p->soc_noise_frac_per_rts * dt;
    cov[V1][V1] = cov[V1][V1] + boost * (floor_var + drift1_v * drift1_v) * (d1 * (2 - d1));
    cov[V2][V2] = cov[V2][V2] + boost * (floor_var + drift2_v * drift2_v) * (d2 * (2 - d2));
    cov[HYS][HYS] = cov[HYS][HYS] + p->hysteresis_sigma_frac * p->hysteresis_sigma_frac * (dh * (2 - dh));
    cov[LEAK][LEAK] = keep * keep * leak_var + boost * p->leak_sigma_a * p->leak_sigma_a * (dl * (2 - dl));
    s->r0_ohm = r->r0_ohm;
}

/* Joseph form with a resistance error that is considered and not corrected; see the twin. */
static void covariance_update(state_t *s, const observation_t *o)
{
    const real *h = o->h, *gain = o->gain;
    real next[ASSB_STATES][ASSB_STATES], w[ASSB_STATES];
    real *ohm = s->resistance_cross;
    real spread = o->drop_v * o->ohm_var * o->drop_v + o->noise_var;
    for (int i = 0; i < ASSB_STATES; i++)
        w[i] = ohm[i] - gain[i] * o->seen;
    for (int i = 0; i < ASSB_STATES; i++) {
        real row[ASSB_STATES];
        real k = gain[i];
        for (int j = 0; j < ASSB_STATES; j++)
            row[j] = s->covariance[i][j] - k * o->b[j];
        real e = row[0] * h[0] + row[1] + row[2] + row[3] * h[3] + row[4] * h[4];
        real along = spread * k - e - w[i] * o->drop_v;
        real across = k * o->drop_v;
        for (int j = i; j < ASSB_STATES; j++)
            next[i][j] = row[j] + along * gain[j] - across * w[j];
    }
    for (int i = 0; i < ASSB_STATES; i++) {
        for (int j = i; j < ASSB_STATES; j++) {
            s->covariance[i][j] = next[i][j];
            s->covariance[j][i] = next[i][j];
        }
        if (s->covariance[i][i] < VARIANCE_FLOOR)
            s->covariance[i][i] = VARIANCE_FLOOR;
        ohm[i] = w[i] - gain[i] * o->drop_v * o->ohm_var;
    }
}

static void observe(const params_t *p, state_t *s, const sample_t *in, observation_t *o)
{
    real *h = o->h;
    real fraction;
    int knot = soc_knot(s->soc, &fraction);
    real warmer_k = in->temperature_degc - p->ocv_temperature_degc;
    real ocv_v = lerp(p->ocv_v[knot], p->ocv_v[knot + 1], fraction) + p->entropy_v_per_k * warmer_k;
    h[SOC] = lerp(p->docv_v[knot], p->docv_v[knot + 1], fraction);
    h[V1] = 1;
    h[V2] = 1;
    h[HYS] = p->hysteresis_v;
    h[LEAK] = -s->r0_ohm;
    o->drop_v = s->r0_ohm * in->current_a;
    o->ohm_var = p->overvoltage_sigma_frac * p->overvoltage_sigma_frac;
    real bend_v = (p->docv_v[knot + 1] - p->docv_v[knot]) * (ASSB_OCV_POINTS - 1) * s->covariance[SOC][SOC];
    o->noise_var = p->voltage_sigma_v * p->voltage_sigma_v + BEND_WEIGHT * bend_v * bend_v;
    const real *ohm = s->resistance_cross;
    real *c = o->c;
    for (int i = 0; i < ASSB_STATES; i++) {
        const real *row = s->covariance[i];
        o->b[i] = row[0] * h[0] + row[1] + row[2] + row[3] * h[3] + row[4] * h[4];
        c[i] = o->b[i] + ohm[i] * o->drop_v;
    }
    o->seen = ohm[0] * h[0] + ohm[1] + ohm[2] + ohm[3] * h[3] + ohm[4] * h[4];
    real ohm_part = o->drop_v * (o->seen + o->ohm_var * o->drop_v);
    s->innovation_var = c[0] * h[0] + c[1] + c[2] + c[3] * h[3] + c[4] * h[4] + ohm_part + o->noise_var;
    s->innovation_v =
        in->voltage_v - (ocv_v + h[HYS] * s->hysteresis + s->v1_v + s->v2_v + s->r0_ohm * (in->current_a - s->leak_a));
}

/* Whether the innovation may correct; if not, it widens what is doubted instead. */
static int inside_gate(const params_t *p, state_t *s, real dt_s)
{
    real nis = s->innovation_v * s->innovation_v / s->innovation_var;
    real limit = p->gate_sigmas * p->gate_sigmas;
    real counted = nis > limit ? limit : nis;
    s->nis_mean = s->nis_mean + one_minus_exp(dt_s / p->adapt_tau_s) * (counted - s->nis_mean);
    int doubted = LEAK;
    real jump = p->leak_sigma_a;
    if (s->settling_s > 0) {
        s->settling_s = s->settling_s - dt_s;
        doubted = SOC;
        jump = SETTLING_SOC_SIGMA;
    }
    if (nis > limit)
        s->covariance[doubted][doubted] = s->covariance[doubted][doubted] + jump * jump;
    return nis <= limit;
}

static void correct(const params_t *p, state_t *s, observation_t *o)
{
    real *gain = o->gain;
    for (int i = 0; i < ASSB_STATES; i++)
        gain[i] = o->c[i] / s->innovation_var;
    const real *h = o->h;
    real explained = gain[0] * h[0] + gain[1] + gain[2] + gain[3] * h[3] + gain[4] * h[4];
    s->residual_v = s->innovation_v - explained * s->innovation_v;
    add_soc(s, gain[SOC] * s->innovation_v);
    s->v1_v = s->v1_v + gain[V1] * s->innovation_v;
    s->v2_v = s->v2_v + gain[V2] * s->innovation_v;
    s->hysteresis = clamp(s->hysteresis + gain[HYS] * s->innovation_v, -1, 1);
    s->leak_a = clamp(s->leak_a + gain[LEAK] * s->innovation_v, -p->current_max_a, p->current_max_a);
}

static void measurement_update(const params_t *p, state_t *s, const sample_t *in)
{
    observation_t o;
    observe(p, s, in, &o);
    s->residual_v = s->innovation_v;
    if (inside_gate(p, s, in->dt_s)) {
        correct(p, s, &o);
        covariance_update(s, &o);
    }
}

static int rises(const real *axis, int count)
{
    for (int k = 1; k < count; k++)
        if (!(axis[k] > axis[k - 1]))
            return 0;
    return 1;
}

int ASSB_EST(check)(const params_t *p)
{
    const real *all = (const real *)p;
    const real positive[] = {p->capacity_ah,     p->coulombic_efficiency_frac,
                             p->tau1_s,          p->tau2_s,
                             p->voltage_sigma_v, p->leak_sigma_a,
                             p->leak_tau_s,      p->gate_sigmas,
                             p->adapt_tau_s,     p->adapt_max,
                             p->current_max_a,   p->dt_max_s,
                             p->hysteresis_rate, p->pressure_max_mpa,
                             p->rc_sigma_v};
    for (size_t k = 0; k < sizeof *p / sizeof *all; k++)
        if (!(all[k] - all[k] == 0))
            return ASSB_BAD_PARAMETER;
    for (size_t k = 0; k < sizeof positive / sizeof *positive; k++)
        if (!(positive[k] > 0))
            return ASSB_BAD_PARAMETER;
    if (!rises(p->r0_temperature_degc, ASSB_TEMPERATURE_POINTS) || !rises(p->r0_pressure_mpa, ASSB_PRESSURE_POINTS))
        return ASSB_BAD_PARAMETER;
    return ASSB_OK;
}

int ASSB_EST(reset)(const params_t *p, state_t *s, real soc, real soc_sigma)
{
    static const state_t zero;
    real rc_var = p->rc_sigma_v * p->rc_sigma_v;
    if (!within(soc, 0, 1) || !(soc_sigma > 0 && soc_sigma <= 1))
        return ASSB_BAD_SOC;
    *s = zero;
    s->soc = soc;
    s->nis_mean = 1;
    s->resistance_scale = 1;
    s->capacity_scale = 1;
    s->settling_s = SETTLING_S;
    s->covariance[SOC][SOC] = soc_sigma * soc_sigma;
    s->covariance[V1][V1] = rc_var;
    s->covariance[V2][V2] = rc_var;
    s->covariance[HYS][HYS] = HYSTERESIS_UNKNOWN;
    s->covariance[LEAK][LEAK] = p->leak_sigma_a * p->leak_sigma_a;
    return ASSB_OK;
}

real ASSB_EST(rested_soc)(const params_t *p, real voltage_v, real temperature_degc)
{
    real fraction;
    real at_reference_v = voltage_v - p->entropy_v_per_k * (temperature_degc - p->ocv_temperature_degc);
    int knot = locate(p->ocv_v, ASSB_OCV_POINTS, at_reference_v, &fraction);
    return ((real)knot + fraction) / (ASSB_OCV_POINTS - 1);
}

int ASSB_EST(predict)(const params_t *p, state_t *s, const sample_t *in)
{
    int status = sample_status(p, in);
    if (status == ASSB_OK) {
        resistance_t r = resistances(p, s, in->temperature_degc, in->pressure_mpa);
        time_update(p, s, in, &r);
    }
    return status;
}

int ASSB_EST(step)(const params_t *p, state_t *s, const sample_t *in)
{
    if (!within(in->voltage_v, p->voltage_min_v, p->voltage_max_v))
        return ASSB_BAD_VOLTAGE;
    int status = ASSB_EST(predict)(p, s, in);
    if (status == ASSB_OK)
        measurement_update(p, s, in);
    return status;
}

static void write_results(const ASSB_EST(results) *out, const state_t *s, int status, long k)
{
    const struct {
        real *column;
        real value;
    } rows[] = {
        {out->soc, s->soc},
        {out->soc_var, s->covariance[SOC][SOC]},
        {out->v1_v, s->v1_v},
        {out->v2_v, s->v2_v},
        {out->hysteresis, s->hysteresis},
        {out->leak_a, s->leak_a},
        {out->leak_var, s->covariance[LEAK][LEAK]},
        {out->r0_ohm, s->r0_ohm},
        {out->innovation_v, s->innovation_v},
        {out->innovation_var, s->innovation_var},
    };
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++)
        if (rows[row].column != NULL)
            rows[row].column[k] = rows[row].value;
    if (out->status != NULL)
        out->status[k] = status;
}

long ASSB_EST(run)(const params_t *p, state_t *s, const ASSB_EST(columns) *in, const ASSB_EST(results) *out, long n)
{
    long refused = 0;
    for (long k = 0; k < n; k++) {
        sample_t sample = {in->voltage_v[k], in->current_a[k], in->temperature_degc[k], in->pressure_mpa[k],
                           in->dt_s[k]};
        int status = ASSB_EST(step)(p, s, &sample);
        refused += status != ASSB_OK;
        write_results(out, s, status, k);
    }
    return refused;
}

/* Joseph form of a scalar observation of SOC; nothing of the considered resistance error is in it. */
static void observed_soc(state_t *s, real var, const real *gain, const real *column)
{
    real ohm = s->resistance_cross[SOC];
    for (int i = 0; i < ASSB_STATES; i++) {
        for (int j = i; j < ASSB_STATES; j++) {
            real value = s->covariance[i][j] - gain[i] * column[j] - column[i] * gain[j] + gain[i] * var * gain[j];
            s->covariance[i][j] = value;
            s->covariance[j][i] = value;
        }
        if (s->covariance[i][i] < VARIANCE_FLOOR)
            s->covariance[i][i] = VARIANCE_FLOOR;
        s->resistance_cross[i] = s->resistance_cross[i] - gain[i] * ohm;
    }
}

int ASSB_EST(observe_soc)(const params_t *p, state_t *s, real soc, real soc_sigma)
{
    real gain[ASSB_STATES], column[ASSB_STATES];
    if (!within(soc, 0, 1) || !(soc_sigma > 0 && soc_sigma <= 1))
        return ASSB_BAD_SOC;
    real off = soc - (s->soc + s->soc_residual);
    real var = s->covariance[SOC][SOC] + soc_sigma * soc_sigma;
    for (int i = 0; i < ASSB_STATES; i++) {
        column[i] = s->covariance[i][SOC];
        gain[i] = column[i] / var;
    }
    add_soc(s, gain[SOC] * off);
    s->v1_v = s->v1_v + gain[V1] * off;
    s->v2_v = s->v2_v + gain[V2] * off;
    s->hysteresis = clamp(s->hysteresis + gain[HYS] * off, -1, 1);
    s->leak_a = clamp(s->leak_a + gain[LEAK] * off, -p->current_max_a, p->current_max_a);
    observed_soc(s, var, gain, column);
    return ASSB_OK;
}
