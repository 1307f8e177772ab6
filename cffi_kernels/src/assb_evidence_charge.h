/* Evidences of charge at rest, at a held voltage and over cycles: 4, 5, 6. Included by assb_detection.c. */

#define REST_SETTLE_TAUS ((real)5)
#define REST_SETTLE_LEAST_S ((real)600)
#define REST_MEAN_TAU_S ((real)30)
#define REST_STEADY_K ((real)0.5)
#define CV_BAND_V ((real)0.003)
#define CV_POINT_S ((real)120)
#define CV_LEARN ((real)0.25)
#define CV_FALLEN ((real)0.9)
#define CV_HOLDS ((real)3)
#define CV_NEAR ((real)0.9)
#define FULL_TURN ((real)0.2) /* of SOC: less is no cycle */
#define CYCLES_LEAST 3
#define ONCE ((real)0.9) /* one poor window or cycle is not enough */

static void lose_rest(detection_t *d)
{
    ASSB_EST(rest_evidence) *r = &d->rest;
    r->rest_s = r->windows = r->falls = r->expected_v = r->expected_mpa = 0;
    r->slope_v_per_s = r->fall_mpa_per_s = 0;
}

/* The relaxation of a rest slows down as 1/t at least; what a short takes does not. */
static void close_window(const detection_params_t *q, const params_t *cell, detection_t *d, const state_t *state,
                         const sample_t *in, const reference_t *reference)
{
    ASSB_EST(rest_evidence) *r = &d->rest;
    real span_s = r->rest_s - r->mark_s, middle_s = (real)0.5 * (r->rest_s + r->mark_s);
    real warmer_k = in->temperature_degc - r->mark_degc;
    r->slope_v_per_s = (r->voltage_v - r->mark_v - cell->entropy_v_per_k * warmer_k) / span_s;
    r->fall_mpa_per_s = (r->mark_mpa - r->pressure_mpa) / span_s;
    real own = r->slope_v_per_s - (reference->cells > 1 ? reference->slope_v_per_s : 0);
    real floor = table_at(cell->docv_v, state->soc) * q->rest_leak_c / (real)3600;
    real expected = r->expected_v / middle_s;
    r->windows = r->windows + 1;
    real slope_v = table_at(cell->docv_v, state->soc);
    if (magnitude(warmer_k) > REST_STEADY_K || slope_v < q->charge_slope_least_v || r->windows < 2)
        tell(d, ASSB_REST_DECAY, ASSB_LEARNING, 0);
    else {
        real score = -own / (q->rest_ratio * (expected > floor ? expected : floor));
        r->falls = score >= 1 ? r->falls + 1 : 0;
        judge(d, ASSB_REST_DECAY, r->falls < 2 && score >= 1 ? ONCE : score);
    }
    real steep = magnitude(r->slope_v_per_s) * middle_s;
    if (r->windows < 2 || steep < r->expected_v)
        r->expected_v = steep;
}

/* 4: the voltage of a rested cell falls. */
static void see_rest(const detection_params_t *q, const params_t *cell, detection_t *d, const state_t *state,
                     const sample_t *in, const reference_t *reference)
{
    ASSB_EST(rest_evidence) *r = &d->rest;
    if (magnitude(in->current_a) > q->rest_c * cell->capacity_ah) {
        lose_rest(d);
        say_nothing(d, ASSB_REST_DECAY);
        return;
    }
    real part = r->rest_s > 0 ? share(in->dt_s, REST_MEAN_TAU_S) : 1;
    r->voltage_v = r->voltage_v + part * (in->voltage_v - r->voltage_v);
    r->pressure_mpa = r->pressure_mpa + part * (in->pressure_mpa - r->pressure_mpa);
    r->rest_s = later(r->rest_s, in->dt_s);
    real settled_s = REST_SETTLE_TAUS * cell->tau2_s;
    if (settled_s < REST_SETTLE_LEAST_S)
        settled_s = REST_SETTLE_LEAST_S;
    if (r->rest_s < settled_s) {
        tell(d, ASSB_REST_DECAY, ASSB_LEARNING, 0);
        r->mark_s = 0;
        return;
    }
    if (r->mark_s > 0 && r->rest_s - r->mark_s < q->rest_window_s)
        return;
    if (r->mark_s > 0)
        close_window(q, cell, d, state, in, reference);
    r->mark_s = r->rest_s;
    r->mark_v = r->voltage_v;
    r->mark_mpa = r->pressure_mpa;
    r->mark_degc = in->temperature_degc;
}

/* Where three equidistant points of an exponential lead to (Aitken). */
static real end_of(real first, real second, real third)
{
    real bend = first + third - 2 * second;
    return bend > 0 ? (first * third - second * second) / bend : third;
}

static void see_tail_point(const detection_params_t *q, const params_t *cell, detection_t *d, real current_a)
{
    ASSB_EST(tail_evidence) *t = &d->tail;
    if (t->points == 0)
        t->begin_a = current_a;
    int falls = current_a < CV_FALLEN * t->begin_a; /* a constant current on a plateau has no tail */
    if (t->points < 2 || !falls) {
        tell(d, ASSB_CV_TAIL, ASSB_LEARNING, 0);
    } else {
        t->tail_a = clamp(end_of(t->first_a, t->second_a, current_a), 0, current_a);
        t->near = t->tail_a >= CV_NEAR * current_a; /* farther from its end it can't be told */
        if (t->near == 0 || t->holds < CV_HOLDS)
            tell(d, ASSB_CV_TAIL, ASSB_LEARNING, 0);
        else
            judge(d, ASSB_CV_TAIL, (t->tail_a - t->usual_a) / (q->cv_tail_c * cell->capacity_ah));
    }
    t->first_a = t->second_a;
    t->second_a = current_a;
    t->points = t->points + 1;
}

/* 5: the current of a held voltage ends in more than it used to. */
static void see_tail(const detection_params_t *q, const params_t *cell, detection_t *d, const sample_t *in)
{
    ASSB_EST(tail_evidence) *t = &d->tail;
    if (in->current_a > q->rest_c * cell->capacity_ah && magnitude(in->voltage_v - t->voltage_v) <= CV_BAND_V) {
        t->hold_s = later(t->hold_s, in->dt_s);
        if (t->hold_s - t->mark_s >= CV_POINT_S) {
            t->mark_s = t->hold_s;
            see_tail_point(q, cell, d, in->current_a);
        }
        return;
    }
    if (t->near > 0 && d->state[ASSB_CV_TAIL] != ASSB_ACTIVE) {
        t->usual_a = t->usual_a + (t->holds > 0 ? CV_LEARN : 1) * (t->tail_a - t->usual_a);
        t->holds = later(t->holds, 1);
    }
    t->near = 0;
    t->voltage_v = in->voltage_v;
    t->hold_s = t->mark_s = t->points = 0;
    say_nothing(d, ASSB_CV_TAIL);
}

static void close_cycle(const detection_params_t *q, detection_t *d, real soc, real soc_var)
{
    ASSB_EST(efficiency_evidence) *e = &d->efficiency;
    int count = e->cycles < ASSB_CYCLES ? (int)e->cycles : ASSB_CYCLES;
    /* a cycle that ends at another SOC than it began is made up for by what the voltage says */
    e->latest = e->discharged / (e->charged - (soc - e->begin_soc));
    if (count < CYCLES_LEAST) {
        tell(d, ASSB_EFFICIENCY, ASSB_LEARNING, 0);
    } else {
        real sorted[ASSB_CYCLES];
        for (int k = 0; k < count; k++)
            sorted[k] = e->efficiency[k];
        real drop = (lower_median(sorted, count) - e->latest) / q->efficiency_drop_frac;
        real doubt = (e->begin_var + soc_var) / (q->efficiency_drop_frac * q->efficiency_drop_frac);
        real low = drop / (1 + doubt); /* as far as SOC is known at both ends */
        e->lows = low >= 1 ? e->lows + 1 : 0;
        judge(d, ASSB_EFFICIENCY, e->lows < 3 && low >= 1 ? ONCE : low);
    }
    if (d->state[ASSB_EFFICIENCY] == ASSB_ACTIVE)
        return; /* a short's cycles are nothing to learn from */
    for (int k = ASSB_CYCLES - 1; k > 0; k--)
        e->efficiency[k] = e->efficiency[k - 1];
    e->efficiency[0] = e->latest;
    e->cycles = later(e->cycles, 1);
}

/* 6: of what was charged, less comes back. A cycle goes from one begin of a discharge to the next. */
static void see_efficiency(const detection_params_t *q, const params_t *cell, detection_t *d, const state_t *state,
                           const sample_t *in)
{
    ASSB_EST(efficiency_evidence) *e = &d->efficiency;
    real moved = magnitude(in->current_a) * in->dt_s / ((real)3600 * capacity_ah(cell, state));
    if (in->current_a > q->rest_c * cell->capacity_ah) {
        e->charged = e->charged + moved;
        e->turned = e->turned > 0 || (e->discharged > FULL_TURN && e->charged > FULL_TURN);
    } else if (in->current_a < -q->rest_c * cell->capacity_ah) {
        if (e->turned > 0 || e->begun == 0) {
            if (e->turned > 0)
                close_cycle(q, d, state->soc, state->covariance[0]);
            e->begin_soc = state->soc;
            e->begin_var = state->covariance[0];
            e->charged = e->discharged = e->turned = 0;
            e->begun = 1;
        }
        e->discharged = e->discharged + moved;
    }
}
