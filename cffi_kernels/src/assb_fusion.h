/* From evidences to a stage. Included by assb_detection.c. */

/* ln of the odds of a short before any evidence, and what one evidence at its threshold adds (assumptions) */
#define PRIOR ((real) - 4.6)
#define WEIGHT ((real)4)
#define BOUND ((real)3) /* no evidence counts for more than this many thresholds */
#define SUPPORT ((real)0.5)
#define RS_MOST_OHM ((real)1e6)

/* Of evidences that say anything at all. */
static real strongest(const detection_t *d, const int *rows, size_t count)
{
    real score = 0;
    for (size_t k = 0; k < count; k++)
        if (d->state[rows[k]] >= ASSB_NORMAL && d->score[rows[k]] > score)
            score = d->score[rows[k]];
    return score;
}

static real electrical(const detection_t *d)
{
    static const int rows[] = {ASSB_DIPPING, ASSB_NOISE, ASSB_RESISTANCE_DROP, ASSB_STALL};
    return strongest(d, rows, sizeof rows / sizeof *rows);
}

static real of_charge(const detection_t *d)
{
    static const int rows[] = {ASSB_MISSING_CHARGE, ASSB_REST_DECAY, ASSB_CV_TAIL, ASSB_EFFICIENCY};
    return strongest(d, rows, sizeof rows / sizeof *rows);
}

static real mechanical(const detection_t *d, real charge)
{
    /* creep alone lowers pressure, too: its fall counts only beside charge */
    static const int rows[] = {ASSB_SWELLING, ASSB_PLATING, ASSB_PRESSURE_FALL};
    return strongest(d, rows, sizeof rows / sizeof *rows - (charge < SUPPORT));
}

static real most(real a, real b)
{
    return a > b ? a : b;
}

static real odds(const detection_t *d)
{
    real sum = PRIOR;
    for (int k = 0; k < ASSB_EVIDENCES; k++) {
        real weight = k == ASSB_CONTACT_LOSS ? 0 : k == ASSB_HEAT || k == ASSB_PRESSURE_FALL ? SUPPORT : 1;
        if (d->state[k] >= ASSB_NORMAL)
            sum = sum + WEIGHT * weight * least(d->score[k], BOUND);
    }
    return sum;
}

/* The resistance of the short: of the dips it makes, else of the charge it takes, which is a mean over their pauses. */
static void estimate_rs(detection_t *d, const state_t *state, const sample_t *in)
{
    const ASSB_EST(charge_evidence) *c = &d->charge;
    d->rs_ohm = d->rs_low_ohm = d->rs_high_ohm = 0;
    if (d->dips.ages > 0 && d->dips.depth_v > 0) {
        d->rs_ohm = most(state->r0_ohm * (in->voltage_v / d->dips.depth_v - 1), 0);
        d->rs_low_ohm = d->rs_ohm * (real)0.5;
        d->rs_high_ohm = d->rs_ohm * 2;
    } else if (d->score[ASSB_MISSING_CHARGE] >= SUPPORT && c->leak_a > 0) {
        real least_a = most(c->leak_a - c->leak_sigma_a, in->voltage_v / RS_MOST_OHM);
        d->rs_ohm = least(in->voltage_v / c->leak_a, RS_MOST_OHM);
        d->rs_low_ohm = in->voltage_v / (c->leak_a + c->leak_sigma_a);
        d->rs_high_ohm = least(in->voltage_v / least_a, RS_MOST_OHM);
    }
}

static real carriers(const detection_t *d)
{
    real bits = 0, bit = 1;
    for (int k = 0; k < ASSB_EVIDENCES; k++) {
        if (d->state[k] == ASSB_ACTIVE && k != ASSB_CONTACT_LOSS)
            bits = bits + bit;
        bit = bit * 2;
    }
    return bits;
}

/* A stage rises at once and falls when all that carried it has been silent for fall_s. */
static int move_stage(const detection_params_t *q, detection_t *d, real stage, real dt_s)
{
    real before = d->stage;
    d->quiet_s = stage >= before ? 0 : later(d->quiet_s, dt_s);
    if (stage > before || d->quiet_s + dt_s / 2 >= q->stage_fall_s) { /* to half a step: rounding does not decide */
        d->stage = stage;
        d->quiet_s = 0;
    }
    if (d->stage > before || (d->stage > 0 && stage >= d->stage))
        d->carried = carriers(d);
    return d->stage != before;
}

static int fuse(const detection_params_t *q, detection_t *d, const state_t *state, const sample_t *in)
{
    real electric = electrical(d), charge = of_charge(d), mechanic = mechanical(d, charge);
    real two = most(least(electric, charge), most(least(electric, mechanic), least(charge, mechanic)));
    /* bridges beside which charge goes missing are one short, which either may tell late */
    real bridges = d->state[ASSB_DIPPING] >= ASSB_NORMAL ? d->score[ASSB_DIPPING] : 0;
    two = most(two, least(bridges, charge / SUPPORT));
    d->suspicion = most(electric, most(charge, mechanic));
    real missing = d->state[ASSB_MISSING_CHARGE] >= ASSB_NORMAL ? d->score[ASSB_MISSING_CHARGE] : 0;
    d->softness = most(two, missing / q->charge_alone);
    d->likelihood = odds(d);
    real stage = d->softness >= 1 ? ASSB_SOFT_SHORT : d->suspicion >= 1 ? ASSB_SUSPECT : ASSB_NO_SHORT;
    int changed = move_stage(q, d, stage, in->dt_s);
    if (d->stage < ASSB_SHORTED) /* a collapse has told it */
        estimate_rs(d, state, in);
    return changed;
}

int ASSB_EST(detection_collapsed)(detection_t *d, real rs_ohm)
{
    real before = d->stage;
    d->stage = ASSB_SHORTED;
    d->quiet_s = 0;
    d->rs_ohm = rs_ohm;
    d->rs_low_ohm = rs_ohm * (real)0.5;
    d->rs_high_ohm = rs_ohm * 2;
    d->likelihood = WEIGHT * BOUND;
    return before != d->stage;
}
