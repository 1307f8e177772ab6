/* One step of the filter, without branches that depend on a cell's numbers, so that it can be read for one cell or for
 * several at once. Model, sources and reasons are written at the twin, firmware/assb/estimation/ekf.py; here are the
 * same operations in the same order.
 *
 * The file that includes it says what a number is: `num` (one, or one per cell), `mask` (outcome of a comparison) and
 *   INLINE                 how functions are put into their callers
 *   pick(m, a, b)          a where m holds, else b
 *   any(m), not(m)         whether it holds anywhere; where it does not
 *   all(x)                 the number x for every cell
 *   whole(x), fractional(k), at_most(k, most)   with an `index_t`: of x >= 0, back, held
 *   two_at(table, k, &low, &high)               the table at k and at k + 1
 *   move_span(...)         find the cell of an axis again, see `place`
 *   slow_one_minus_exp(x)  for x above FAST_EXP_MOST
 */

enum { SOC, V1, V2, HYS, LEAK };
enum { KEPT_1, KEPT_2, KEPT_LEAK, KEPT_ADAPT, KEPT_SOC };
enum { LOW, HIGH, PER_UNIT, BASE, INDEX };

#define PRESSURE_ZERO_MPA (-(real)1) /* a load cell may read a little below zero */
#define VARIANCE_FLOOR ((real)1e-14) /* rounding must not make a variance negative */
#define BEND_WEIGHT ((real)20)
#define SETTLING_S ((real)10)
#define SETTLING_SOC_SIGMA ((real)0.1)
#define FAST_EXP_MOST ((real)0.03125)
#define LAST_KNOT (ASSB_OCV_POINTS - 1)
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif
#define CELLS_END ((real)1e30) /* beyond every temperature and pressure */

typedef struct {
    num r0_ohm, r1_ohm, r2_ohm;
} resistance_t;

/* What one voltage sample says. */
typedef struct {
    num h_soc, h_leak;  /* dV/dstate; 1 for V1 and V2, hysteresis_v for the hysteresis */
    num b[ASSB_STATES]; /* P h */
    num c[ASSB_STATES]; /* covariance of the states with the voltage */
    num hb;             /* h P h */
    num drop_v;         /* dV by the relative error of R0 ... */
    num seen;           /* ... and its covariance with h x */
    num spread;         /* variance of the voltage that no state explains */
    num seen_var;       /* variance of the voltage that the states explain */
} observation_t;

static INLINE num clamp(num x, num low, num high)
{
    num above = pick(x < low, low, x);
    return pick(above > high, high, above);
}

/* Likewise, where x is nearly always between them: nothing waits for the outcome. */
static INLINE num hold(num x, num low, num high)
{
    return any((x < low) | (x > high)) ? clamp(x, low, high) : x;
}

static INLINE num lerp(num a, num b, num fraction)
{
    return a + fraction * (b - a);
}

static INLINE num lerp_at(const real *table, index_t k, num fraction)
{
    num low, high;
    two_at(table, k, &low, &high);
    return lerp(low, high, fraction);
}

/* 1 - exp(-x), x >= 0. A step's charge turns the hysteresis by very little, so that the series is the rule. */
static INLINE num one_minus_exp(num x)
{
    num d = x * ((real)1 - x * ((real)(1.0 / 2) - x * ((real)(1.0 / 6) - x * (real)(1.0 / 24))));
    mask slow = x > FAST_EXP_MOST;
    return any(slow) ? pick(slow, slow_one_minus_exp(x), d) : d;
}

/* Index of the cell of x on a rising axis, and the place inside; held at the ends. The cell is kept in `span` {low,
 * high, per_unit, base, index}, for the next x is nearly always in the same one. */
static INLINE index_t place(const real *axis, int count, num *span, num x, num *fraction)
{
    mask moved = (x < span[LOW]) | (x >= span[HIGH]);
    if (any(moved))
        move_span(axis, count, span, x);
    *fraction = span[BASE] + (x - span[LOW]) * span[PER_UNIT];
    return whole(span[INDEX]);
}

static INLINE index_t soc_knot(num soc, num *fraction)
{
    num place_on = soc * (real)LAST_KNOT;
    index_t knot = at_most(whole(place_on), LAST_KNOT - 1);
    *fraction = place_on - fractional(knot);
    return knot;
}

static INLINE resistance_t resistances(const params_t *p, state_t *s, num temperature_degc, num pressure_mpa)
{
    resistance_t r;
    num ft, fp, fz;
    index_t t = place(p->r0_temperature_degc, ASSB_TEMPERATURE_POINTS, s->warm, temperature_degc, &ft);
    index_t j = place(p->r0_pressure_mpa, ASSB_PRESSURE_POINTS, s->pressed, pressure_mpa, &fp);
    index_t cold = t * ASSB_PRESSURE_POINTS + j;
    index_t knot = soc_knot(s->soc, &fz);
    num scale = s->resistance_scale;
    num rc_scale = scale * lerp_at(p->rc_factor, knot, fz);
    num cold_ohm = lerp_at(p->r0_ohm, cold, fp);
    num warm_ohm = lerp_at(p->r0_ohm + ASSB_PRESSURE_POINTS, cold, fp);
    r.r0_ohm = scale * lerp(cold_ohm, warm_ohm, ft);
    r.r1_ohm = rc_scale * lerp_at(p->r1_ohm, t, ft);
    r.r2_ohm = rc_scale * lerp_at(p->r2_ohm, t, ft);
    return r;
}

/* Compensated sum, so that float32 keeps increments below half an ulp of SOC. */
static INLINE void add_soc(state_t *s, num increment)
{
    num y = increment + s->soc_residual;
    num sum = s->soc + y;
    mask out = (sum < 0) | (sum > (real)1);
    s->soc_residual = y - (sum - s->soc);
    s->soc = sum;
    if (any(out)) {
        s->soc_residual = pick(out, all(0), s->soc_residual);
        s->soc = clamp(sum, all(0), all(1));
    }
}

static INLINE void keep_decays(const params_t *p, state_t *s, num dt_s)
{
    if (!any(dt_s != s->kept_dt_s))
        return;
    s->kept_dt_s = dt_s;
    s->kept[KEPT_1] = one_minus_exp(dt_s / p->tau1_s);
    s->kept[KEPT_2] = one_minus_exp(dt_s / p->tau2_s);
    s->kept[KEPT_LEAK] = one_minus_exp(dt_s / p->leak_tau_s);
    s->kept[KEPT_SOC] = dt_s / ((real)3600 * p->capacity_ah) / s->capacity_scale;
    s->kept[KEPT_ADAPT] = one_minus_exp(dt_s / p->adapt_tau_s);
}

static INLINE void time_update(const params_t *p, state_t *s, const sample_t *in)
{
    resistance_t r = resistances(p, s, in->temperature_degc, in->pressure_mpa);
    keep_decays(p, s, in->dt_s);
    num d1 = s->kept[KEPT_1], d2 = s->kept[KEPT_2], dl = s->kept[KEPT_LEAK];
    num inner_a = in->current_a - s->leak_a;
    mask charging = inner_a > 0;
    num sign = pick(charging, all(1), pick(inner_a < 0, -all(1), all(0)));
    num per_a = s->kept[KEPT_SOC];
    num counted = pick(charging, per_a * p->coulombic_efficiency_frac, per_a);
    num turn = per_a * p->hysteresis_rate;
    num dh = one_minus_exp(turn * (inner_a * sign));

    /* x' = f x + g leak, for the four states that the leak drives; leak' = keep leak */
    num keep = 1 - dl;
    num f[4] = {all(1), 1 - d1, 1 - d2, 1 - dh};
    num g[4] = {-counted, -d1 * r.r1_ohm, -d2 * r.r2_ohm, -(sign - s->hysteresis) * f[HYS] * turn * sign};

    add_soc(s, counted * inner_a);
    s->v1_v = s->v1_v + d1 * (r.r1_ohm * inner_a - s->v1_v);
    s->v2_v = s->v2_v + d2 * (r.r2_ohm * inner_a - s->v2_v);
    s->hysteresis = s->hysteresis + dh * (sign - s->hysteresis);
    s->leak_a = s->leak_a - dl * s->leak_a;

    num *cov = s->covariance, *ohm = s->resistance_cross;
    num leak_var = cov[ASSB_UPPER(LEAK, LEAK)];
    num carried[4], moved[4];
    UNROLL for (int a = 0; a < 4; a++)
    {
        carried[a] = f[a] * cov[ASSB_UPPER(a, LEAK)];
        moved[a] = carried[a] + g[a] * leak_var;
        ohm[a] = f[a] * ohm[a] + g[a] * ohm[LEAK];
    }
    ohm[LEAK] = keep * ohm[LEAK];
    UNROLL for (int a = 0; a < 4; a++)
    {
        UNROLL for (int b = a; b < 4; b++) cov[ASSB_UPPER(a, b)] =
            f[a] * (f[b] * cov[ASSB_UPPER(a, b)]) + (carried[a] * g[b] + g[a] * moved[b]);
        cov[ASSB_UPPER(a, LEAK)] = keep * moved[a];
    }

    num boost = clamp(s->nis_mean, all(1), all(p->adapt_max));
    num floor_var = boost * (p->rc_sigma_v * p->rc_sigma_v);
    num drift1_v = p->overvoltage_sigma_frac * r.r1_ohm * inner_a;
    num drift2_v = p->overvoltage_sigma_frac * (r.r0_ohm + r.r2_ohm) * inner_a;
    cov[ASSB_UPPER(SOC, SOC)] =
        cov[ASSB_UPPER(SOC, SOC)] + p->soc_noise_frac_per_rts * p->soc_noise_frac_per_rts * in->dt_s;
    cov[ASSB_UPPER(V1, V1)] = cov[ASSB_UPPER(V1, V1)] + (floor_var + boost * (drift1_v * drift1_v)) * (d1 * (2 - d1));
    cov[ASSB_UPPER(V2, V2)] = cov[ASSB_UPPER(V2, V2)] + (floor_var + boost * (drift2_v * drift2_v)) * (d2 * (2 - d2));
    cov[ASSB_UPPER(HYS, HYS)] =
        cov[ASSB_UPPER(HYS, HYS)] + p->hysteresis_sigma_frac * p->hysteresis_sigma_frac * (dh * (2 - dh));
    cov[ASSB_UPPER(LEAK, LEAK)] =
        keep * keep * leak_var + boost * (p->leak_sigma_a * p->leak_sigma_a) * (dl * (2 - dl));
    s->r0_ohm = r.r0_ohm;
}

/* Of a vector with the derivative of the voltage. */
static INLINE num along_h(const params_t *p, const observation_t *o, num soc, num v1, num v2, num hys, num leak)
{
    return (soc * o->h_soc + v1) + (v2 + (hys * p->hysteresis_v + leak * o->h_leak));
}

static INLINE void observe(const params_t *p, state_t *s, const sample_t *in, observation_t *o)
{
    num fraction;
    index_t knot = soc_knot(s->soc, &fraction);
    num warmer_k = in->temperature_degc - p->ocv_temperature_degc;
    num slope_low, slope_high;
    two_at(p->docv_v, knot, &slope_low, &slope_high);
    num ocv_v = lerp_at(p->ocv_v, knot, fraction) + p->entropy_v_per_k * warmer_k;
    num r0_ohm = s->r0_ohm;
    o->h_soc = lerp(slope_low, slope_high, fraction);
    o->h_leak = -r0_ohm;
    o->drop_v = r0_ohm * in->current_a;
    num ohm_var = all(p->overvoltage_sigma_frac * p->overvoltage_sigma_frac);
    const num *cov = s->covariance, *ohm = s->resistance_cross;
    num bend_v = (slope_high - slope_low) * (real)LAST_KNOT * cov[ASSB_UPPER(SOC, SOC)];
    num noise_var = p->voltage_sigma_v * p->voltage_sigma_v + BEND_WEIGHT * (bend_v * bend_v);
    UNROLL for (int i = 0; i < ASSB_STATES; i++)
    {
        num row[ASSB_STATES];
        UNROLL for (int j = 0; j < ASSB_STATES; j++) row[j] = i < j ? cov[ASSB_UPPER(i, j)] : cov[ASSB_UPPER(j, i)];
        o->b[i] = along_h(p, o, row[SOC], row[V1], row[V2], row[HYS], row[LEAK]);
        o->c[i] = o->b[i] + ohm[i] * o->drop_v;
    }
    o->seen = along_h(p, o, ohm[SOC], ohm[V1], ohm[V2], ohm[HYS], ohm[LEAK]);
    o->hb = along_h(p, o, o->b[SOC], o->b[V1], o->b[V2], o->b[HYS], o->b[LEAK]);
    o->spread = o->drop_v * ohm_var * o->drop_v + noise_var;
    o->seen_var = o->hb + o->drop_v * o->seen;
    s->innovation_var = o->seen_var + (o->drop_v * o->seen + o->spread);
    num polarised_v = p->hysteresis_v * s->hysteresis + (s->v1_v + s->v2_v);
    s->innovation_v = in->voltage_v - (ocv_v + (polarised_v + r0_ohm * (in->current_a - s->leak_a)));
}

/* Whether the innovation may correct; if not, it widens what is doubted instead. */
static INLINE mask pass_gate(const params_t *p, state_t *s, num dt_s, num nis)
{
    real limit = p->gate_sigmas * p->gate_sigmas;
    mask outside = nis > limit;
    num counted = pick(outside, all(limit), nis);
    s->nis_mean = s->nis_mean + s->kept[KEPT_ADAPT] * (counted - s->nis_mean);
    mask settling = s->settling_s > 0;
    if (any(outside)) {
        num soc_jump = pick(outside & settling, all(SETTLING_SOC_SIGMA * SETTLING_SOC_SIGMA), all(0));
        num leak_jump = pick(outside & not(settling), all(p->leak_sigma_a * p->leak_sigma_a), all(0));
        s->covariance[ASSB_UPPER(SOC, SOC)] = s->covariance[ASSB_UPPER(SOC, SOC)] + soc_jump;
        s->covariance[ASSB_UPPER(LEAK, LEAK)] = s->covariance[ASSB_UPPER(LEAK, LEAK)] + leak_jump;
    }
    if (any(settling))
        s->settling_s = pick(settling, s->settling_s - dt_s, s->settling_s);
    return not(outside);
}

/* Joseph form with a resistance error that is considered and not corrected; see the twin. */
static INLINE void covariance_update(const params_t *p, state_t *s, const observation_t *o, const num *gain)
{
    num *cov = s->covariance, *ohm = s->resistance_cross;
    num ohm_var = all(p->overvoltage_sigma_frac * p->overvoltage_sigma_frac);
    num drop_var = o->drop_v * ohm_var, known_var = o->hb + o->spread;
    num pulled[ASSB_STATES], along[ASSB_STATES];
    UNROLL for (int i = 0; i < ASSB_STATES; i++)
    {
        num k = gain[i];
        num w = ohm[i] - k * o->seen;
        pulled[i] = o->b[i] + o->drop_v * w;
        along[i] = known_var * k - pulled[i];
        ohm[i] = w - k * drop_var;
    }
    UNROLL for (int i = 0; i < ASSB_STATES; i++)
    {
        UNROLL for (int j = i; j < ASSB_STATES; j++) cov[ASSB_UPPER(i, j)] =
            cov[ASSB_UPPER(i, j)] - gain[i] * pulled[j] + along[i] * gain[j];
        num var = cov[ASSB_UPPER(i, i)];
        cov[ASSB_UPPER(i, i)] = pick(var < VARIANCE_FLOOR, all(VARIANCE_FLOOR), var);
    }
}

static INLINE void measurement_update(const params_t *p, state_t *s, const sample_t *in)
{
    observation_t o;
    num gain[ASSB_STATES];
    observe(p, s, in, &o);
    num per_var = all(1) / s->innovation_var;
    num v = s->innovation_v;
    mask inside = pass_gate(p, s, in->dt_s, v * v * per_var);
    num share = pick(inside, per_var, all(0));
    UNROLL for (int i = 0; i < ASSB_STATES; i++) gain[i] = o.c[i] * share;
    add_soc(s, gain[SOC] * v);
    num most_a = all(p->current_max_a);
    s->v1_v = s->v1_v + gain[V1] * v;
    s->v2_v = s->v2_v + gain[V2] * v;
    s->hysteresis = hold(s->hysteresis + gain[HYS] * v, -all(1), all(1));
    s->leak_a = hold(s->leak_a + gain[LEAK] * v, -most_a, most_a);
    covariance_update(p, s, &o, gain);
}
