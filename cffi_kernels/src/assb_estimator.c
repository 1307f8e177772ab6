/* The filter of one cell. Compiled once per precision through assb_estimator_f32.c and assb_estimator_f64.c. */
#include "assb_estimator.h"

#include <stddef.h>

typedef ASSB_REAL real;
typedef ASSB_EST(params) params_t;
typedef ASSB_EST(state) state_t;
typedef ASSB_EST(sample) sample_t;

/* What assb_estimator_core.h asks for: here a number is one number. */
#ifdef ASSB_BOARD /* small: what a step calls stands once, and there are no time series */
#define INLINE inline
#else
#define INLINE inline __attribute__((always_inline))
#endif
typedef real num;
typedef int mask;
typedef int index_t;

static INLINE num pick(mask m, num a, num b)
{
    return m ? a : b;
}

static INLINE mask any(mask m)
{
    return m;
}

static INLINE mask not(mask m)
{
    return !m;
}

static INLINE num all(real x)
{
    return x;
}

static INLINE void two_at(const real *table, index_t k, num *low, num *high)
{
    *low = table[k];
    *high = table[k + 1];
}

static INLINE index_t whole(num x)
{
    return (index_t)x;
}

static INLINE num fractional(index_t k)
{
    return (num)k;
}

static INLINE index_t at_most(index_t k, int most)
{
    return k > most ? most : k;
}

static num slow_one_minus_exp(num x);
static void move_span(const real *axis, int count, num *span, num x);

#include "assb_estimator_core.h"
#include "assb_estimator_slow.h"

static num slow_one_minus_exp(num x)
{
    return slow_one_minus_exp_of(x);
}

static void move_span(const real *axis, int count, num *span, num x)
{
    span_of(axis, count, x, span);
}

/* Index of the cell of x on a rising axis, and the place inside; held at the ends. */
static int locate(const real *axis, int count, real x, real *fraction)
{
    real span[ASSB_SPAN];
    span_of(axis, count, x, span);
    *fraction = span[BASE] + (x - span[LOW]) * span[PER_UNIT];
    return (int)span[INDEX];
}

/* Beyond these, squares and products overflow single precision */
#define PARAMETER_MOST ((real)1e6)
#define PARAMETER_LEAST ((real)1e-12)
#define CAPACITY_LEAST_AH ((real)1e-6)
#define OVERVOLTAGE_MOST_FRAC ((real)10)
#define HYSTERESIS_UNKNOWN ((real)0.333) /* variance of a uniform -1..1 */

static int within(real x, real low, real high)
{
    return (x >= low) & (x <= high); /* false for NaN */
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
    const real positive[] = {p->coulombic_efficiency_frac,
                             p->tau1_s,
                             p->tau2_s,
                             p->voltage_sigma_v,
                             p->leak_sigma_a,
                             p->leak_tau_s,
                             p->gate_sigmas,
                             p->adapt_tau_s,
                             p->adapt_max,
                             p->current_max_a,
                             p->dt_max_s,
                             p->hysteresis_rate,
                             p->pressure_max_mpa,
                             p->rc_sigma_v};
    for (size_t k = 0; k < sizeof *p / sizeof *all; k++)
        if (!within(all[k], -PARAMETER_MOST, PARAMETER_MOST))
            return ASSB_BAD_PARAMETER;
    for (size_t k = 0; k < sizeof positive / sizeof *positive; k++)
        if (!(positive[k] >= PARAMETER_LEAST))
            return ASSB_BAD_PARAMETER;
    if (!(p->capacity_ah >= CAPACITY_LEAST_AH && p->overvoltage_sigma_frac <= OVERVOLTAGE_MOST_FRAC))
        return ASSB_BAD_PARAMETER;
    if (!rises(p->r0_temperature_degc, ASSB_TEMPERATURE_POINTS) || !rises(p->r0_pressure_mpa, ASSB_PRESSURE_POINTS))
        return ASSB_BAD_PARAMETER;
    return ASSB_OK;
}

void ASSB_EST(forget)(state_t *s)
{
    s->kept_dt_s = 0;
    s->warm[LOW] = s->pressed[LOW] = CELLS_END;
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
    s->covariance[ASSB_UPPER(SOC, SOC)] = soc_sigma * soc_sigma;
    s->covariance[ASSB_UPPER(V1, V1)] = rc_var;
    s->covariance[ASSB_UPPER(V2, V2)] = rc_var;
    s->covariance[ASSB_UPPER(HYS, HYS)] = HYSTERESIS_UNKNOWN;
    s->covariance[ASSB_UPPER(LEAK, LEAK)] = p->leak_sigma_a * p->leak_sigma_a;
    ASSB_EST(forget)(s);
    return ASSB_OK;
}

real ASSB_EST(rested_soc)(const params_t *p, real voltage_v, real temperature_degc)
{
    real fraction;
    real at_reference_v = voltage_v - p->entropy_v_per_k * (temperature_degc - p->ocv_temperature_degc);
    int knot = locate(p->ocv_v, ASSB_OCV_POINTS, at_reference_v, &fraction);
    return ((real)knot + fraction) / LAST_KNOT;
}

static int sample_status(const params_t *p, const sample_t *in)
{
    if (!((in->dt_s > 0) & (in->dt_s <= p->dt_max_s)))
        return ASSB_BAD_DT;
    if (!within(in->current_a, -p->current_max_a, p->current_max_a))
        return ASSB_BAD_CURRENT;
    if (!within(in->temperature_degc, p->temperature_min_degc, p->temperature_max_degc))
        return ASSB_BAD_TEMPERATURE;
    if (!within(in->pressure_mpa, PRESSURE_ZERO_MPA, p->pressure_max_mpa))
        return ASSB_BAD_PRESSURE;
    return ASSB_OK;
}

/* SOC becomes an index; what moves it must be finite. 0 times NaN or infinity is NaN. */
static INLINE int is_state(const state_t *s)
{
    return within(s->soc + 0 * (s->soc_residual + s->leak_a), 0, 1);
}

int ASSB_EST(predict)(const params_t *p, state_t *s, const sample_t *in)
{
    int status = is_state(s) ? sample_status(p, in) : ASSB_BAD_SOC;
    if (status == ASSB_OK)
        time_update(p, s, in);
    return status;
}

static INLINE int step(const params_t *p, state_t *s, const sample_t *in)
{
    if (!within(in->voltage_v, p->voltage_min_v, p->voltage_max_v))
        return ASSB_BAD_VOLTAGE;
    int status = is_state(s) ? sample_status(p, in) : ASSB_BAD_SOC;
    if (status == ASSB_OK) {
        time_update(p, s, in);
        measurement_update(p, s, in);
    }
    return status;
}

int ASSB_EST(step)(const params_t *p, state_t *s, const sample_t *in)
{
    return step(p, s, in);
}

#ifndef ASSB_BOARD
int ASSB_EST(feed)(const params_t *p, state_t *s, real voltage_v, real current_a, real temperature_degc,
                   real pressure_mpa, real dt_s)
{
    sample_t in = {voltage_v, current_a, temperature_degc, pressure_mpa, dt_s};
    return ASSB_EST(step)(p, s, &in);
}

/* Where results come from and go to; only those that are asked for. */
typedef struct {
    const real *from;
    real *to;
} sink_t;

enum { RESULTS_MOST = 10 };

static int sinks(const ASSB_EST(results) *out, const state_t *s, sink_t *list)
{
    const sink_t all_of_them[] = {
        {&s->soc, out->soc},
        {&s->covariance[ASSB_UPPER(SOC, SOC)], out->soc_var},
        {&s->v1_v, out->v1_v},
        {&s->v2_v, out->v2_v},
        {&s->hysteresis, out->hysteresis},
        {&s->leak_a, out->leak_a},
        {&s->covariance[ASSB_UPPER(LEAK, LEAK)], out->leak_var},
        {&s->r0_ohm, out->r0_ohm},
        {&s->innovation_v, out->innovation_v},
        {&s->innovation_var, out->innovation_var},
    };
    int count = 0;
    for (size_t k = 0; k < sizeof all_of_them / sizeof *all_of_them; k++)
        if (all_of_them[k].to != NULL)
            list[count++] = all_of_them[k];
    return count;
}

void ASSB_EST(run)(const params_t *p, state_t *state, const ASSB_EST(columns) *in, const ASSB_EST(results) *out, long n)
{
    state_t s = *state; /* its own memory: nothing that is written can be one of the parameters */
    sink_t list[RESULTS_MOST];
    int count = sinks(out, &s, list);
    for (long k = 0; k < n; k++) {
        sample_t sample = {in->voltage_v[k], in->current_a[k], in->temperature_degc[k], in->pressure_mpa[k],
                           in->dt_s[k]};
        int status = step(p, &s, &sample);
        for (int row = 0; row < count; row++)
            list[row].to[k] = *list[row].from;
        if (out->status != NULL)
            out->status[k] = status;
    }
    *state = s;
}
#endif

/* Joseph form of a scalar observation of SOC; nothing of the considered resistance error is in it. */
static void observed_soc(state_t *s, real var, const real *gain, const real *column)
{
    real ohm = s->resistance_cross[SOC];
    for (int i = 0; i < ASSB_STATES; i++) {
        for (int j = i; j < ASSB_STATES; j++) {
            real *cov = &s->covariance[ASSB_UPPER(i, j)];
            *cov = *cov - gain[i] * column[j] - column[i] * gain[j] + gain[i] * var * gain[j];
        }
        if (s->covariance[ASSB_UPPER(i, i)] < VARIANCE_FLOOR)
            s->covariance[ASSB_UPPER(i, i)] = VARIANCE_FLOOR;
        s->resistance_cross[i] = s->resistance_cross[i] - gain[i] * ohm;
    }
}

int ASSB_EST(observe_soc)(const params_t *p, state_t *s, real soc, real soc_sigma)
{
    real gain[ASSB_STATES], column[ASSB_STATES];
    if (!within(soc, 0, 1) || !(soc_sigma > 0 && soc_sigma <= 1))
        return ASSB_BAD_SOC;
    real off = soc - (s->soc + s->soc_residual);
    real var = s->covariance[ASSB_UPPER(SOC, SOC)] + soc_sigma * soc_sigma;
    for (int i = 0; i < ASSB_STATES; i++) {
        column[i] = s->covariance[ASSB_UPPER(SOC, i)];
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
