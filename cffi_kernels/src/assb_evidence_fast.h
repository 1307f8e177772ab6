/* Evidences in single samples: dips and noise. Included by assb_detection.c. */

#define FAST_DT_S ((real)0.5) /* slower samples show neither */
#define DIP_LEARN_S ((real)5)
#define DIP_BACK ((real)0.5)
#define DIP_LONGEST_S ((real)20) /* longer is no dip, but a new level (assumption) */
#define UP_LONGEST_S ((real)3)
#define DIP_FORGET_S ((real)26)
#define DIP_ENTER_VAR ((real)9) /* 3 sigma */
#define LEVEL_TAU_S ((real)1)
#define TRACE_FROM_S ((real)0.35) /* after a dip: the mean of half a second */
#define TRACE_TO_S ((real)0.95)
#define NOISE_SHORT_S ((real)9.6) /* 96 samples at 10 Hz */
#define NOISE_LONG_S ((real)410)
#define NOISE_MOST ((real)30)
#define NOISE_FLOOR_V2 ((real)2.5e-9) /* (50 uV)^2: what quantising a quiet voltage leaves (assumption) */
#define NOISE_LEARN_S ((real)60)

static void forget_dips(const detection_params_t *q, ASSB_EST(dips) *p, real dt_s)
{
    int ages = (int)p->ages, old = 0;
    for (int k = 0; k < ages; k++) {
        p->age_s[k] = p->age_s[k] + dt_s;
        old += p->age_s[k] > q->dip_window_s;
    }
    for (int k = old; k < ages && old > 0; k++)
        p->age_s[k - old] = p->age_s[k];
    p->ages = (real)(ages - old);
}

static void remember_dip(ASSB_EST(dips) *p)
{
    int ages = (int)p->ages;
    if (ages == ASSB_DIPS) {
        for (int k = 1; k < ASSB_DIPS; k++)
            p->age_s[k - 1] = p->age_s[k];
        ages--;
    }
    p->age_s[ages] = 0;
    p->ages = (real)(ages + 1);
    p->total = later(p->total, 1);
}

static void lose_dip(ASSB_EST(dips) *p)
{
    p->length_s = p->deep = p->waits = p->up_s = p->level_known = 0;
}

static void find_level(ASSB_EST(dips) *p, real voltage_v)
{
    p->level_v = voltage_v;
    p->drift_v = p->length_s = p->deep = p->up_s = 0;
    p->level_known = 1;
}

/* A short draws charge through the cell, whose polarisation takes seconds to go; a loose wire leaves no trace. */
static void see_trace(const detection_params_t *q, ASSB_EST(dips) *p, const sample_t *in)
{
    p->after_s = p->after_s + in->dt_s;
    if (p->after_s <= TRACE_FROM_S)
        return;
    p->after_v = p->after_v + in->voltage_v;
    p->after_n = p->after_n + 1;
    if (p->after_s < TRACE_TO_S)
        return;
    real after_v = p->after_v / p->after_n, trace_v = p->level_v + p->drift_v - after_v;
    real wanted_v = q->dip_trace_frac * p->deep;
    if (trace_v >= (wanted_v > q->dip_trace_v ? wanted_v : q->dip_trace_v)) {
        p->depth_v = p->deep;
        remember_dip(p);
    }
    p->waits = 0;
    find_level(p, after_v);
}

/* A dip begins at `edge` below the level before it and ends half way back; what stays is a new level. */
static void see_level(const detection_params_t *q, ASSB_EST(dips) *p, const sample_t *in, real edge_v)
{
    real fall_v = p->level_v + p->drift_v - in->voltage_v;
    if (p->level_known == 0) {
        find_level(p, in->voltage_v);
    } else if (p->waits > 0) {
        see_trace(q, p, in);
    } else if (fall_v > edge_v && fall_v > DIP_BACK * p->deep) {
        p->length_s = p->length_s + in->dt_s;
        p->deep = fall_v > p->deep ? fall_v : p->deep;
        if (p->length_s > DIP_LONGEST_S)
            find_level(p, in->voltage_v);
    } else if (p->length_s > 0) {
        p->waits = 1;
        p->after_s = p->after_v = p->after_n = 0;
    } else if (-fall_v > edge_v) {
        p->up_s = p->up_s + in->dt_s;
        if (p->up_s > UP_LONGEST_S)
            find_level(p, in->voltage_v);
    } else {
        p->level_v = p->level_v + p->drift_v - share(in->dt_s, LEVEL_TAU_S) * fall_v;
        p->drift_v = p->up_s = 0;
    }
}

/* 1: short dips of the voltage while the current stays. */
static void see_dips(const detection_params_t *q, const params_t *cell, detection_t *d, const state_t *state,
                     const sample_t *in)
{
    ASSB_EST(dips) *p = &d->dips;
    forget_dips(q, p, in->dt_s);
    int masked = d->since_step_s < q->step_mask_s || d->since_move_s < q->move_mask_s;
    if (masked || in->dt_s > FAST_DT_S) {
        lose_dip(p);
        if (p->ages == 0)
            say_nothing(d, ASSB_DIPPING);
        return;
    }
    real v = state->innovation_v;
    real held_v2 =
        p->learned >= DIP_LEARN_S && v * v > DIP_ENTER_VAR * p->variance_v2 ? DIP_ENTER_VAR * p->variance_v2 : v * v;
    if (p->learned < DIP_FORGET_S)
        p->learned = later(p->learned, in->dt_s);
    p->variance_v2 = p->variance_v2 + (held_v2 - p->variance_v2) * share(in->dt_s, p->learned);
    if (p->learned < DIP_LEARN_S) {
        tell(d, ASSB_DIPPING, ASSB_LEARNING, 0);
        return;
    }
    /* what the current makes of the level */
    p->drift_v = p->drift_v + table_at(cell->docv_v, state->soc) * in->current_a * in->dt_s /
                                  ((real)3600 * capacity_ah(cell, state));
    real edge_v = q->dip_sigmas * ASSB_EST(square_root)(p->variance_v2);
    see_level(q, p, in, edge_v > q->dip_floor_v ? edge_v : q->dip_floor_v);
    judge(d, ASSB_DIPPING, p->ages / q->dip_count);
}

/* 2: the voltage is louder than it was. Second differences of samples, so that no slow change counts. */
static void see_noise(const detection_params_t *q, detection_t *d, const sample_t *in)
{
    ASSB_EST(noise) *n = &d->noise;
    int masked = d->since_step_s < q->step_mask_s || d->since_move_s < q->move_mask_s;
    if (in->dt_s > FAST_DT_S || masked) {
        n->has_before = 0;
        return;
    }
    real change_v = in->voltage_v - n->before_v, bend_v = change_v - n->change_v;
    n->before_v = in->voltage_v;
    n->change_v = change_v;
    if (n->has_before < 2) {
        n->has_before = n->has_before + 1;
        return;
    }
    real v2 = bend_v * bend_v;
    n->seen_s = later(n->seen_s, in->dt_s);
    n->heard_s = n->heard_s + in->dt_s;
    /* a few jumps are no noise: each counts for NOISE_MOST usual ones at most */
    real usual_v2 = n->usual_v2 > NOISE_FLOOR_V2 ? n->usual_v2 : NOISE_FLOOR_V2;
    real counted_v2 = v2 > NOISE_MOST * usual_v2 ? NOISE_MOST * usual_v2 : v2;
    real held = v2 > DIP_ENTER_VAR * usual_v2 ? DIP_ENTER_VAR * usual_v2 : v2;
    n->now_v2 = n->now_v2 + (counted_v2 - n->now_v2) * share(in->dt_s, NOISE_SHORT_S);
    real tau_s = n->seen_s < NOISE_LONG_S ? n->seen_s : NOISE_LONG_S;
    n->usual_v2 = n->usual_v2 + (held - n->usual_v2) * share(in->dt_s, tau_s);
    n->ratio =
        n->seen_s < NOISE_LEARN_S ? 0 : n->now_v2 / (n->usual_v2 > NOISE_FLOOR_V2 ? n->usual_v2 : NOISE_FLOOR_V2);
}

/* Ripple of a charger is heard by all cells of a pack. */
static void judge_noise(const detection_params_t *q, detection_t *d, const reference_t *reference)
{
    ASSB_EST(noise) *n = &d->noise;
    real heard_s = n->heard_s; /* of this second: what was masked was not heard */
    n->heard_s = 0;
    if (n->ratio == 0) {
        tell(d, ASSB_NOISE, n->seen_s > 0 ? ASSB_LEARNING : ASSB_UNAVAILABLE, 0);
        return;
    }
    real usual = reference->noise_ratio > 1 ? reference->noise_ratio : 1;
    real loud = n->ratio / (q->noise_ratio * usual);
    n->loud_s = loud >= 1 ? later(n->loud_s, heard_s) : 0;
    judge(d, ASSB_NOISE, n->loud_s / q->noise_hold_s);
}
