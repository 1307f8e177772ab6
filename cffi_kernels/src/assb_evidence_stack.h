/* Mechanical evidences: 9, 10, 11. A rig that does not measure the gap has none of them. Included by assb_detection.c.
 */

#define SWELLING_SPAN ((real)0.01) /* of SOC */
#define SWELLING_STEADY_K ((real)1)
#define SWELLING_STILL_S ((real)600)
#define SWELLING_VISITS ((real)3)

static int swelling_bin(const state_t *state, int charging)
{
    int tenth = (int)(state->soc * (real)(ASSB_SWELLING_BINS / 2));
    if (tenth > ASSB_SWELLING_BINS / 2 - 1)
        tenth = ASSB_SWELLING_BINS / 2 - 1;
    return tenth + (charging ? 0 : ASSB_SWELLING_BINS / 2);
}

/* The height that came with one percent of charge, against what this tenth of SOC usually shows. */
static void close_swelling(const detection_params_t *q, detection_t *d, const state_t *state, real height_um)
{
    ASSB_EST(swelling_evidence) *w = &d->swelling;
    int bin = swelling_bin(state, w->charge_frac > 0);
    real seen = (height_um - w->start_um) / (q->gap_swelling_um * w->charge_frac);
    w->ratio = w->visits[bin] > 0 ? seen / w->usual[bin] : 1;
    if (w->visits[bin] < SWELLING_VISITS) {
        w->visits[bin] = w->visits[bin] + 1;
        w->usual[bin] = w->visits[bin] > 1 ? w->usual[bin] + (seen - w->usual[bin]) / w->visits[bin] : seen;
        tell(d, ASSB_SWELLING, ASSB_LEARNING, 0);
        tell(d, ASSB_PLATING, q->plating_watch > 0 ? ASSB_LEARNING : ASSB_UNAVAILABLE, 0);
        return;
    }
    /* a short takes from the charge that swells; on discharge it adds */
    real less = w->charge_frac > 0 ? 1 - w->ratio : w->ratio - 1;
    judge(d, ASSB_SWELLING, less / (1 - q->swelling_low));
    if (q->plating_watch > 0 && w->charge_frac > 0)
        judge(d, ASSB_PLATING, (w->ratio - 1) / (q->swelling_high - 1));
    if (magnitude(w->ratio - 1) < 1 - q->swelling_low)
        w->usual[bin] = w->usual[bin] + (real)(1.0 / 8) * (seen - w->usual[bin]);
}

/* 10: pressure falls in a rest faster than creep does, whose rate goes as 1/t. */
static void see_pressure_fall(const detection_params_t *q, detection_t *d, const sample_t *in)
{
    ASSB_EST(rest_evidence) *r = &d->rest;
    if (in->has_gap == 0 || q->gap_swelling_um <= 0 || q->gap_stiffness_mpa_per_um <= 0 || r->windows < 1) {
        say_nothing(d, ASSB_PRESSURE_FALL);
        return;
    }
    real middle_s = r->rest_s - (real)0.5 * q->rest_window_s;
    if (r->windows < 2) {
        r->expected_mpa = magnitude(r->fall_mpa_per_s) * middle_s;
        tell(d, ASSB_PRESSURE_FALL, ASSB_LEARNING, 0);
        return;
    }
    real expected = r->expected_mpa / middle_s;
    real floor = q->gap_stiffness_mpa_per_um * q->gap_swelling_um * q->rest_leak_c / (real)3600;
    judge(d, ASSB_PRESSURE_FALL, r->fall_mpa_per_s / (q->rest_ratio * (expected > floor ? expected : floor)));
}

/* 9 and 11: height from the gap and the pressure, against the charge. */
static void see_swelling(const detection_params_t *q, const params_t *cell, detection_t *d, const state_t *state,
                         const sample_t *in)
{
    ASSB_EST(swelling_evidence) *w = &d->swelling;
    see_pressure_fall(q, d, in);
    if (in->has_gap == 0 || in->has_pressure == 0 || q->gap_swelling_um == 0 || q->gap_stiffness_mpa_per_um <= 0) {
        say_nothing(d, ASSB_SWELLING);
        say_nothing(d, ASSB_PLATING);
        return;
    }
    real height_um = in->gap_um + in->pressure_mpa / q->gap_stiffness_mpa_per_um;
    real rest_a = q->rest_c * cell->capacity_ah;
    real direction = in->current_a > rest_a ? 1 : in->current_a < -rest_a ? -1 : 0;
    int same = w->begun > 0 && direction == w->direction && in->aim_mpa == w->aim_mpa &&
               magnitude(in->temperature_degc - w->start_degc) <= SWELLING_STEADY_K;
    w->still_s = in->aim_mpa == w->aim_mpa ? later(w->still_s, in->dt_s) : 0;
    w->aim_mpa = in->aim_mpa;
    w->direction = direction;
    if (same && direction != 0 && w->still_s > SWELLING_STILL_S) {
        w->charge_frac = w->charge_frac + in->current_a * in->dt_s / ((real)3600 * capacity_ah(cell, state));
        if (magnitude(w->charge_frac) < SWELLING_SPAN)
            return;
        close_swelling(q, d, state, height_um);
    }
    w->begun = 1;
    w->charge_frac = 0;
    w->start_um = height_um;
    w->start_degc = in->temperature_degc;
}
