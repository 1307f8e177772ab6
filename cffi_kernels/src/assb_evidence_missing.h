/* Evidence of charge 3: what the current brought and the voltage does not show. Included by assb_detection.c.
 *
 * A deficit (assb_deficit.h), what explains it without a leak (assb_charge_errors.h), and beside that tests for leaks
 * of four sizes (assb_leak_test.h). */

#define DEGC_TAU_S ((real)120) /* what a sensor's noise makes of changes is gone */
#define OHM_TAU_S ((real)60)
#define LOST_TAU_S ((real)14400) /* ... and for so long may it come back */
#define LEAN_TAU_S ((real)60)
#define STEP_ERROR ((real)0.03) /* of R0, in a window in which the current changes */
#define HIGHER_STEP ((real)0.05)
#define CURRENT_ERROR ((real)0.003)
#define OFFSET_TAU_S ((real)600)
#define UNSEEN_C ((real)1)       /* nobody knows what flowed until now (assumption) */
#define EVENS_TAU_S ((real)1800) /* within the electrodes (assumption) */
#define KNEE_RESTS_S ((real)300) /* a relaxation in a knee is larger than elsewhere, and then small (assumption) */
#define STRAY_TAU_S ((real)300)
#define STRAYS_V ((real)0.01) /* within that time: the model fails all cells (assumption) */
#define PACK_NOISE ((real)1.4)
#define REST_MOST ((real)5) /* nats of one window */
#define WORK_MOST ((real)3)
#define SOC_AT_END ((real)1e-4)
#define OHM_MOST ((real)6)
#define CAPACITY_MOST ((real)0.06) /* errors beyond these are none: the filter begins anew */
#define DOUBT ((real)0.5)
#define LEAK_ERROR ((real)0.25)  /* of a leak's rate, as the resistances are that it shows across */
#define STEP_MOST ((real)0.02)   /* of the capacity: what took more is no step */
#define STRONG_FRAC ((real)0.08) /* in an hour */
#define TAKEN_MOST ((real)0.08)  /* of the capacity: a leak that took so much is told, or none */

/* Where the voltage tells nothing. */
static int is_at_end(real soc)
{
    return soc < SOC_AT_END || soc > 1 - SOC_AT_END;
}

/* A leak that is suspected has to go on: the offset is found anew, so that what a step of the voltage told is not told
 * again. What a leak took in hours is no step, and a strong one does not wait. */
static void doubt_leaks(const detection_params_t *q, const params_t *cell, ASSB_EST(charge_evidence) *c)
{
    real held = DOUBT * q->charge_nats;
    int stepped = 0;
    for (int k = 0; k < ASSB_LEAKS; k++) {
        ASSB_EST(leak_test) *t = c->test + k;
        if (t->nats < held) {
            t->doubted = 0;
        } else if (t->nats >= q->charge_nats && t->doubted == 0) {
            t->doubted = 1;
            int strong = took_more(t, cell, 1, STRONG_FRAC);
            stepped = stepped || !(strong || took_more(t, cell, t->hours, STEP_MOST));
        }
    }
    if (!stepped)
        return;
    c->lost = 1;
    for (int k = 0; k < ASSB_LEAKS; k++) {
        ASSB_EST(leak_test) *t = c->test + k;
        if (t->nats >= held) {
            t->doubted = 1;
            t->loud_h = t->known = t->shown = 0;
        }
    }
}

static int most_likely(const ASSB_EST(charge_evidence) *c)
{
    int best = 0;
    for (int k = 1; k < ASSB_LEAKS; k++)
        if (c->test[k].nats > c->test[best].nats)
            best = k;
    return best;
}

/* Test what the window shows against a leak, then correct the errors by it. */
static void weigh(const detection_params_t *q, const params_t *cell, ASSB_EST(charge_evidence) *c, const move_t *m,
                  real excess_v, const ASSB_EST(charge_row) *row)
{
    const real h[ASSB_CHARGE_ERRORS] = {1, 1, -row->fast_v, -row->middle_v, -row->slow_v, 0};
    real *x = c->error, *p = c->covariance, along[ASSB_CHARGE_ERRORS], innovation_v = excess_v, var = 0;
    for (int i = 0; i < ASSB_CHARGE_ERRORS; i++) {
        along[i] = 0;
        for (int j = 0; j < PER_SOC; j++)
            along[i] = along[i] + p[i < j ? UP(i, j) : UP(j, i)] * h[j];
        innovation_v = innovation_v - h[i] * x[i];
        var = var + h[i] * along[i];
    }
    if (c->lost > 0) {
        anchor(cell, c, h, innovation_v);
        return;
    }
    real noise_v = q->charge_noise_v * (m->alone ? 1 : PACK_NOISE);
    real step_v = (STEP_ERROR + HIGHER_STEP * magnitude(x[FAST])) * c->ohm * c->swing_a;
    real ohmic_v = CURRENT_ERROR * c->ohm * row->current_a;
    var = var + (noise_v * noise_v + (step_v * step_v + ohmic_v * ohmic_v));
    real sigmas = innovation_v / ASSB_EST(square_root)(var), far = magnitude(sigmas);
    c->lean = c->lean + share(c->span_s, LEAN_TAU_S) * (clamp(sigmas, -5, 5) - c->lean);
    if (far > CLIP) /* an outlier teaches less */
        var = var * far / CLIP;
    real most = m->rests ? REST_MOST : WORK_MOST;
    /* or the other one of a pair has lost its contact: on charge a leak looks like that, too, at rest nothing does */
    int silent = c->seen_s < q->charge_settle_s || (m->pair && !m->rests && !m->charges && x[FAST] < OHM_LEAST);
    for (int k = 0; k < ASSB_LEAKS; k++) {
        ASSB_EST(leak_test) *t = c->test + k;
        real ohm = unseen_ohm(cell, c, t, h), leak_v = leak_c[k] * cell->capacity_ah * ohm;
        real nats = leak_v * (innovation_v - (real)0.5 * leak_v) / var;
        follow(t, along, var, ohm);
        if (!m->steep) {
            t->nats = t->nats + clamp(nats, -2 * most, most);
            t->known = t->known + ohm * ohm / var;
            t->shown = t->shown + ohm * innovation_v / var;
        }
        if (t->nats < DOUBT * q->charge_nats)
            t->loud_h = 0;
        int late = took_more(t, cell, t->loud_h, TAKEN_MOST) && t->nats < q->charge_alone * q->charge_nats;
        if (silent || late || t->nats <= 0)
            begin_test(t);
    }
    take(c, along, innovation_v, var);
    real forgotten = share(c->span_s, LOST_TAU_S);
    c->measured = c->measured - forgotten * c->measured;
    c->highest = c->highest - forgotten * c->highest;
    real surely = x[FAST] - ASSB_EST(square_root)(p[UP(FAST, FAST)]);
    if (surely > c->highest)
        c->highest = surely;
    see_jump(q, c, m, sigmas, innovation_v, row->current_a);
}

/* The middle one of the window: a loose wire's jumps are gone. */
static int middle_row(const ASSB_EST(charge_evidence) *c)
{
    for (int k = 0; k < ASSB_LATEST; k++) {
        int below = 0;
        for (int j = 0; j < ASSB_LATEST; j++)
            below += c->row[j].excess_v < c->row[k].excess_v || (c->row[j].excess_v == c->row[k].excess_v && j < k);
        if (below == ASSB_LATEST / 2)
            return k;
    }
    return 0;
}

static void close_seconds(const detection_params_t *q, const params_t *cell, detection_t *d, const state_t *state,
                          const sample_t *in, const reference_t *pack)
{
    ASSB_EST(charge_evidence) *c = &d->charge;
    const ASSB_EST(charge_row) *row = c->row + middle_row(c);
    int cells = (int)pack->cells, alone = cells < 2;
    if (c->begun == 0 || c->alone != (real)alone) {
        begin_errors(q, c, row->excess_v, alone);
        c->degc = in->temperature_degc;
        c->usual_ohm = c->ohm;
    }
    move_t m;
    m.alone = alone;
    m.pair = cells == 2;
    m.slope_v = table_at(cell->docv_v, state->soc);
    m.soc = c->moved_as / ((real)3600 * capacity_ah(cell, state));
    m.turned = c->open_hysteresis - c->loop_then;
    m.warmed_k = share(c->span_s, DEGC_TAU_S) * (in->temperature_degc - c->degc);
    m.ohm_frac = share(c->span_s, OHM_TAU_S) * (c->ohm / c->usual_ohm - 1);
    m.size_c = magnitude(row->current_a) / cell->capacity_ah;
    m.charges = row->current_a > 0;
    m.rests = c->moved_as == 0 && row->current_a == 0;
    c->rested_s = m.rests ? later(c->rested_s, c->span_s) : 0;
    m.steep = m.slope_v > q->charge_slope_most_v * (m.rests ? 2 : 1) && c->rested_s < KNEE_RESTS_S;
    real evened_c = share(c->span_s, EVENS_TAU_S) * (c->moved_as / (c->span_s * cell->capacity_ah) - c->lag_c);
    c->lag_c = c->lag_c + evened_c;
    m.evened2 = magnitude(evened_c) * (magnitude(c->lag_c) + magnitude(evened_c));
    c->degc = c->degc + m.warmed_k;
    c->usual_ohm = c->usual_ohm * (1 + m.ohm_frac);
    move_errors(q, cell, d, state, &m, c->span_s);
    real per_as = 1 / ((real)3600 * capacity_ah(cell, state));
    for (int k = 0; k < ASSB_LEAKS; k++)
        move_test(cell, c, c->test + k, &m, leak_c[k] * cell->capacity_ah, per_as, c->span_s);
    if (c->ends > 0)
        c->lost = 1;
    else
        weigh(q, cell, c, &m, row->excess_v, row);
    if (c->seen_s >= q->charge_settle_s)
        see_returns(q, c, state, pack, row->current_a, m.size_c, in->temperature_degc, m.steep ? 0 : m.slope_v,
                    c->nats < DOUBT * q->charge_nats ? lost_frac(c) * c->ohm : 0);
    c->loop_then = c->open_hysteresis;
    c->open2_then_v = c->open2_v;
    c->open3_then_v = c->open3_v;
    if (!(m.pair || m.steep || c->ends > 0))
        hold_resistance(cell, c);
    int fits = magnitude(c->error[FAST]) <= OHM_MOST && magnitude(c->error[PER_SOC]) <= CAPACITY_MOST;
    if (!fits && c->test[most_likely(c)].nats < DOUBT * q->charge_nats) {
        begin_errors(q, c, row->excess_v, alone); /* these are no cell's */
        c->seen_s = least(c->seen_s, q->charge_settle_s - RELEARN_S);
    }
    const ASSB_EST(leak_test) *t = c->test + most_likely(c);
    c->leak_a = t->known > 0 ? t->shown / t->known : 0;
    c->leak_sigma_a = t->known > 0 ? 2 / ASSB_EST(square_root)(t->known) + LEAK_ERROR * c->leak_a : 0;
    c->nats = t->nats;
    if (c->returns.score > c->nats / q->charge_nats) {
        c->leak_a = c->returns.leak_c * cell->capacity_ah;
        c->leak_sigma_a = RETURN_SIGMA * c->leak_a;
    }
    doubt_leaks(q, cell, c);
}

static void begin_seconds(ASSB_EST(charge_evidence) *c)
{
    c->rows = c->span_s = c->moved_as = c->swing_a = c->ends = 0;
}

static void lose_charge(detection_t *d)
{
    d->charge.lost = 1;
    d->charge.current_step.age_s = LONG_S;
    begin_seconds(&d->charge);
}

/* 3 */
static void see_missing_charge(const detection_params_t *q, const params_t *cell, detection_t *d, const state_t *state,
                               const sample_t *in, const reference_t *reference)
{
    ASSB_EST(charge_evidence) *c = &d->charge;
    real current_a = flowing_a(q, cell, in->current_a);
    c->deficit_v = find_deficit(cell, d, state, in, current_a);
    c->seen_s = later(c->seen_s, in->dt_s);
    real gain = current_a > 0 ? cell->coulombic_efficiency_frac : 1;
    c->returns.net = c->returns.net + gain * current_a * in->dt_s / ((real)3600 * cell->capacity_ah);
    c->returns.clock_s = c->returns.clock_s + in->dt_s;
    c->known = 1;
    if (c->cells != reference->cells) { /* the offset to the others is another one */
        lose_charge(d);
        c->cells = reference->cells;
        c->usual_v = reference->deficit_v;
    }
    real strays_v = reference->deficit_v - c->usual_v; /* the model fails them all, and cells not at the same moment */
    c->usual_v = c->usual_v + share(in->dt_s, STRAY_TAU_S) * strays_v;
    ASSB_EST(charge_row) *row = c->row + (int)c->rows;
    row->excess_v = c->deficit_v - reference->deficit_v;
    c->offset_v = c->offset_v + share(in->dt_s, OFFSET_TAU_S) * (row->excess_v - c->offset_v);
    row->current_a = current_a;
    row->fast_v = c->ohm * current_a + c->open1_v;
    row->middle_v = c->open2_v;
    row->slow_v = c->open3_v;
    real swing_a = magnitude(current_a - c->current_a);
    c->swing_a = swing_a > c->swing_a ? swing_a : c->swing_a;
    if (see_step(cell, state, c, row, swing_a, in->dt_s) && c->begun > 0)
        learn_step(cell, c);
    c->current_a = current_a;
    c->span_s = c->span_s + in->dt_s;
    c->moved_as = c->moved_as + current_a * in->dt_s;
    int ends = (reference->ends > 0 && current_a != 0) || magnitude(strays_v) > STRAYS_V || is_at_end(state->soc);
    c->ends = ends || c->ends > 0;
    c->rows = c->rows + 1;
    if (c->rows >= ASSB_LATEST) {
        close_seconds(q, cell, d, state, in, reference);
        begin_seconds(c);
    }
    real score = -least(-c->nats / q->charge_nats, -c->returns.score);
    if (c->seen_s < q->charge_settle_s)
        tell(d, ASSB_MISSING_CHARGE, ASSB_LEARNING, 0);
    else if (ends && score < DOUBT)
        tell(d, ASSB_MISSING_CHARGE, ASSB_UNAVAILABLE, score);
    else
        judge(d, ASSB_MISSING_CHARGE, score);
}
