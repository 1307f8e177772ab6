/* Evidences in single samples: dips and noise. Included by assb_detection.c. */

#define FAST_DT_S ((real)0.5) /* slower samples show neither */
#define DIP_LEARN_S ((real)5)
#define DIP_FORGET_S ((real)26)
#define DIP_ENTER_VAR ((real)9) /* 3 sigma */
#define DIP_AFTER_S ((real)30)  /* the way back from a dip is no jump up */
#define UPS_PER_DIP ((real)0.25)
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
    p->ups_age_s = later(p->ups_age_s, dt_s);
    if (p->ups_age_s > q->dip_window_s)
        p->ups = 0;
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
    p->since_dip_s = 0;
}

/* A run beyond 3 sigma counts once, when its mean over its own length is worth dip_sigmas. `down`: +1 or -1. */
static void see_excursion(const detection_params_t *q, ASSB_EST(dips) *p, real down_v, real floor_v)
{
    if (p->length == 0)
        p->sum_v = p->counted = 0;
    p->length = p->length + 1;
    p->sum_v = p->sum_v + down_v;
    real mean_v = magnitude(p->sum_v) / p->length;
    real worth = mean_v * mean_v * p->length, wanted = q->dip_sigmas * q->dip_sigmas * p->variance_v2;
    if (p->counted > 0 || worth < wanted || mean_v < q->dip_floor_v)
        return;
    p->counted = 1;
    if (p->sum_v > 0 && mean_v >= floor_v) {
        p->depth_v = mean_v;
        remember_dip(p);
    } else if (p->sum_v < 0 && p->since_dip_s > DIP_AFTER_S) {
        p->ups = later(p->ups, 1);
        p->ups_age_s = 0;
    }
}

/* 1: short dips below the model while the current stays. */
static void see_dips(const detection_params_t *q, detection_t *d, const state_t *state, const sample_t *in)
{
    ASSB_EST(dips) *p = &d->dips;
    forget_dips(q, p, in->dt_s);
    p->since_dip_s = later(p->since_dip_s, in->dt_s);
    int masked = d->since_step_s < q->step_mask_s || d->since_move_s < q->move_mask_s;
    if (masked || in->dt_s > FAST_DT_S) {
        p->length = 0;
        if (p->ages == 0)
            say_nothing(d, ASSB_DIPPING);
        return;
    }
    real v = state->innovation_v, least_v2 = (real)1e-12;
    if (p->learned < DIP_LEARN_S) {
        p->learned = later(p->learned, in->dt_s);
        p->variance_v2 = p->variance_v2 + (v * v - p->variance_v2) * (in->dt_s / p->learned);
        tell(d, ASSB_DIPPING, ASSB_LEARNING, 0);
        return;
    }
    if (p->variance_v2 < least_v2)
        p->variance_v2 = least_v2;
    real edge_v2 = DIP_ENTER_VAR * p->variance_v2;
    if (v * v <= edge_v2) {
        p->length = 0;
        p->variance_v2 = p->variance_v2 + (v * v - p->variance_v2) * share(in->dt_s, DIP_FORGET_S);
    } else {
        if (p->length > 0 && p->sum_v * v > 0)
            p->length = 0; /* from one side to the other */
        real contact_v = in->current_a < 0 ? q->dip_current_ratio * state->r0_ohm * -in->current_a : 0;
        see_excursion(q, p, -v, contact_v);
    }
    real credible = p->ups > UPS_PER_DIP * p->ages ? 0 : p->ages;
    judge(d, ASSB_DIPPING, credible / q->dip_count);
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
static void judge_noise(const detection_params_t *q, detection_t *d, const reference_t *reference, real dt_s)
{
    ASSB_EST(noise) *n = &d->noise;
    if (n->ratio == 0) {
        tell(d, ASSB_NOISE, n->seen_s > 0 ? ASSB_LEARNING : ASSB_UNAVAILABLE, 0);
        return;
    }
    real usual = reference->noise_ratio > 1 ? reference->noise_ratio : 1;
    real loud = n->ratio / (q->noise_ratio * usual);
    n->loud_s = loud >= 1 ? later(n->loud_s, dt_s) : 0;
    judge(d, ASSB_NOISE, n->loud_s / q->noise_hold_s);
}
