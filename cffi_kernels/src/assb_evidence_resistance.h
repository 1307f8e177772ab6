/* Evidences of resistance and of a charge that leads nowhere: 7, 8, 12, 13. Included by assb_detection.c. */

#define STEP_LEAST_C ((real)0.05)
#define STEADY_FRAC ((real)0.02) /* of a step: the current before and after it */
#define STEP_WIDEST_S ((real)0.5)
#define RATIO_LEAST ((real)0.05) /* a voltage that does not answer is no resistance */
#define STEPS_LEARN ((real)8)
#define STEPS_JUDGE ((real)8)
#define STEP_OUTLIER ((real)0.2)
#define STEP_WEIGHT ((real)0.1)
#define PRESSURE_STEADY ((real)0.03)
#define TEMPERATURE_STEADY_K ((real)1.5)
#define STALL_STEADY_K ((real)0.3)
#define STALL_LEAST_V ((real)0.002)
#define STALL_STEADY ((real)0.02)
#define STALLS ((real)3)                 /* in a row */
#define STALL_SLOPE_LEAST_V ((real)0.25) /* a plateau is no stall; nor is a charge of a cell that has one */
#define HALF ((real)0.5)                 /* a contact that comes back lowers R0, but not below its table */

/* One measured resistance over what the tables say at this temperature and pressure. */
static void learn_ratio(const detection_params_t *q, detection_t *d, real ratio, const sample_t *in)
{
    ASSB_EST(resistance_evidence) *r = &d->resistance;
    if (r->steps < STEPS_LEARN) {
        r->steps = r->steps + 1;
        r->usual = r->usual + (ratio - r->usual) / r->steps;
        r->usual_mpa = r->usual_mpa + (in->pressure_mpa - r->usual_mpa) / r->steps;
        r->usual_degc = r->usual_degc + (in->temperature_degc - r->usual_degc) / r->steps;
        r->recent = r->usual;
        tell(d, ASSB_RESISTANCE_DROP, ASSB_LEARNING, 0);
        tell(d, ASSB_CONTACT_LOSS, ASSB_LEARNING, 0);
        return;
    }
    /* one that is far off moves it no more than one that is near */
    real most = STEP_OUTLIER * r->usual;
    r->recent = r->recent + STEP_WEIGHT * clamp(ratio - r->recent, -most, most);
    int near = magnitude(in->pressure_mpa - r->usual_mpa) <= PRESSURE_STEADY * magnitude(r->usual_mpa) &&
               magnitude(in->temperature_degc - r->usual_degc) <= TEMPERATURE_STEADY_K;
    real change = r->recent / r->usual - 1;
    judge(d, ASSB_CONTACT_LOSS, change / q->resistance_rise_frac);
    r->recent_steps = near ? r->recent_steps + 1 : 0;
    if (r->recent_steps < STEPS_JUDGE)
        tell(d, ASSB_RESISTANCE_DROP, ASSB_LEARNING, 0);
    else
        judge(d, ASSB_RESISTANCE_DROP,
              r->recent < 1 - HALF * q->resistance_drop_frac ? -change / q->resistance_drop_frac : 0);
    if (magnitude(change) < q->resistance_drop_frac) { /* ageing is learned, a jump is not */
        r->usual = r->usual + (real)(1.0 / 32) * (ratio - r->usual);
        r->usual_mpa = r->usual_mpa + (real)(1.0 / 32) * (in->pressure_mpa - r->usual_mpa);
        r->usual_degc = r->usual_degc + (real)(1.0 / 32) * (in->temperature_degc - r->usual_degc);
    }
}

/* 7 and 13: steps of current, between the sample before and the one after; the one between holds parts of both, or is
   after it as well. The next one says that the step is over. */
static void see_resistance(const detection_params_t *q, const params_t *cell, detection_t *d, const state_t *state,
                           const sample_t *in)
{
    ASSB_EST(resistance_evidence) *r = &d->resistance;
    if (in->dt_s > STEP_WIDEST_S || in->has_pressure == 0) {
        r->seen = 0;
        return;
    }
    real step_a = r->after_a - r->before_a;
    int is_step = r->seen >= 3 && magnitude(step_a) > STEP_LEAST_C * cell->capacity_ah;
    int stands = magnitude(r->middle_a - r->before_a) <= STEADY_FRAC * STEP_LEAST_C * cell->capacity_ah;
    int is_over = magnitude(in->current_a - r->after_a) <= STEADY_FRAC * magnitude(step_a);
    if (is_step && r->steady > 0 && stands == 0 && is_over) {
        real ratio = (r->after_v - r->before_v) / step_a * state->resistance_scale / state->r0_ohm;
        if (ratio > RATIO_LEAST)
            learn_ratio(q, d, ratio, in);
    }
    r->steady = r->seen >= 2 && stands;
    r->before_v = r->middle_v;
    r->before_a = r->middle_a;
    r->middle_v = r->after_v;
    r->middle_a = r->after_a;
    r->after_v = in->voltage_v;
    r->after_a = in->current_a;
    r->seen = r->seen < 3 ? r->seen + 1 : r->seen;
}

static void begin_stall(detection_t *d, const sample_t *in)
{
    ASSB_EST(stall_evidence) *t = &d->stall;
    t->span_s = t->charge_frac = 0;
    t->start_v = in->voltage_v;
    t->start_degc = in->temperature_degc;
    t->low_a = in->current_a;
}

/* 8: a constant current charges, and the voltage does not rise. */
static void see_stall(const detection_params_t *q, const params_t *cell, detection_t *d, const state_t *state,
                      const sample_t *in)
{
    ASSB_EST(stall_evidence) *t = &d->stall;
    real slope_v = table_at(cell->docv_v, state->soc);
    int plateau = slope_v < STALL_SLOPE_LEAST_V || q->charge_slope_most_v < 2 * STALL_SLOPE_LEAST_V;
    int steady = magnitude(in->current_a - t->low_a) <= STALL_STEADY * magnitude(t->low_a) &&
                 magnitude(in->temperature_degc - t->start_degc) <= STALL_STEADY_K && d->since_move_s > q->move_mask_s;
    if (in->current_a <= q->rest_c * cell->capacity_ah || plateau || !steady) {
        t->stalls = 0;
        begin_stall(d, in);
        if (in->current_a <= q->rest_c * cell->capacity_ah || plateau)
            say_nothing(d, ASSB_STALL);
        return;
    }
    t->span_s = later(t->span_s, in->dt_s);
    t->charge_frac = t->charge_frac + in->current_a * in->dt_s / ((real)3600 * capacity_ah(cell, state));
    if (t->span_s < q->stall_s)
        return;
    real expected_v = slope_v * t->charge_frac;
    real part = (in->voltage_v - t->start_v) / (expected_v > STALL_LEAST_V ? expected_v : STALL_LEAST_V);
    if (expected_v > STALL_LEAST_V) {
        real score = (1 - part) / (1 - q->stall_ratio);
        t->stalls = score >= 1 ? t->stalls + 1 : 0;
        judge(d, ASSB_STALL, t->stalls < STALLS && score >= 1 ? ONCE : score);
    } else
        tell(d, ASSB_STALL, ASSB_LEARNING, 0);
    begin_stall(d, in);
}

#define HEAT_WINDOW_S ((real)60)

/* 12: the cell warms by more than its resistance heats it. Supports the others; nobody measures the room. */
static void see_heat(const detection_params_t *q, const params_t *cell, detection_t *d, const state_t *state,
                     const sample_t *in)
{
    ASSB_EST(heat_evidence) *h = &d->heat;
    if (q->heat_j_per_k <= 0) {
        say_nothing(d, ASSB_HEAT);
        return;
    }
    if (h->span_s == 0) {
        h->start_degc = in->temperature_degc;
        h->lost_j = 0;
    }
    h->span_s = h->span_s + in->dt_s;
    h->lost_j =
        h->lost_j + in->current_a * in->current_a * ASSB_EST(loop_ohm)(cell, state, in->temperature_degc) * in->dt_s;
    if (h->span_s < HEAT_WINDOW_S)
        return;
    h->excess_w = (q->heat_j_per_k * (in->temperature_degc - h->start_degc) - h->lost_j) / h->span_s;
    judge(d, ASSB_HEAT, h->excess_w / q->heat_w);
    h->span_s = 0;
}
