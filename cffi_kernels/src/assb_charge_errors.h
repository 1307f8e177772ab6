/* Evidence 3: what the model of a cell without a leak may be wrong by, followed by a Kalman filter
 * (assb_charge_error). Included by assb_detection.c; see the twin, detection/charge_errors.py. */

#define SLOW_PART ((real)0.45) /* of the second pair's resistance that is rather the third's (assumption) */
#define KNOWN_PACK ((real)0.1) /* variance of what cells of a pack share */
#define TABLE_SOC ((real)0.08) /* width of the features of an OCV curve (assumption) */
#define BEND_SOC ((real)0.03)
#define BEND_ERROR ((real)1.5)
#define SOC_ERROR_LEAST ((real)0.005)
#define SOC_ERROR_MOST ((real)0.2)
#define SOC_ERROR_PACK ((real)0.012) /* between cells in series */
#define LOOP_ERROR ((real)0.15)      /* of half the hysteresis loop, wherever it is travelled (assumption) */
#define LOOP_UNKNOWN ((real)0.5)     /* where in its loop a new cell is nobody knows until it was driven to one side */
#define RELAX_ERROR ((real)0.35)     /* of a relaxation */
#define ENTROPY_ERROR_V_PER_K ((real)0.0002)
#define ENTROPY_K ((real)5)
#define TABLE_ERROR ((real)0.35) /* of a change of R0 with temperature and pressure */
#define TABLE_SHARE ((real)0.3)
#define OHM_DRIFT ((real)0.02) /* of R0, per root of an hour; likewise the others */
#define PAIR_DRIFT ((real)0.05)
#define PAIR_SOC ((real)0.05) /* variance of the pairs' error per SOC that is travelled */
#define CAPACITY_DRIFT ((real)0.0005)
#define NEVER_LOST ((real)0.15)  /* higher resistances than this are a contact that is lost ... */
#define UNKNOWN_LOST ((real)0.6) /* ... and such may be one, for all that is known */
#define UNKNOWN_SIGMAS ((real)1.5)
#define LOST_LEAST ((real) - 0.1) /* ... until they are lower than this ... */
#define WORKS_C ((real)0.005)
#define JUMP_C ((real)0.02)
#define LEAN ((real)0.4)
#define LEAN_MORE ((real)3)
#define CLIP ((real)3) /* sigmas of an innovation; what is farther off counts for no more */
#define JUMP ((real)4) /* sigmas; twice in a row */
#define JUMP_MOST ((real)3)
#define EVENS_SOC ((real)0.015) /* of SOC per C that a surface leads by, beyond the pairs (assumption) */
#define KNEE_SHARE ((real)0.3)
#define KNEE_V ((real)0.001)
#define ANCHOR_V2 ((real)1e-7)
#define BEGIN_V ((real)0.02)
#define OFFSET_HOURS ((real)2)
#define OHM_LEAST ((real) - 0.5) /* no lower: what looks like it is something else (assumption) */
#define RELEARN_S ((real)300)
#define CUT_MEAN ((real)0.8)
#define CUT_GAIN ((real)0.64)
#define CUT_NATS ((real)0.7)
#define STEP_HIGHER ((real)0.1) /* of that error itself */
#define STEP_KNOWS ((real)0.1)
#define VARIANCE_LEAST ((real)1e-14)

/* Nothing is known of the errors. */
static void begin_errors(const detection_params_t *q, ASSB_EST(charge_evidence) *c, real excess_v, int alone)
{
    real table_v = alone ? q->charge_ocv_v : q->pack_ocv_v, pair = alone ? q->charge_rc_frac : q->pack_resistance_frac;
    real ohm = alone ? q->charge_resistance_frac : q->pack_resistance_frac;
    real capacity2 = q->charge_capacity_frac * q->charge_capacity_frac;
    capacity2 = alone ? capacity2 + q->charge_gain_frac * q->charge_gain_frac : 2 * capacity2;
    for (int k = 0; k < ASSB_CHARGE_ERRORS; k++)
        c->error[k] = 0;
    for (int k = 0; k < ASSB_CHARGE_PAIRS; k++)
        c->covariance[k] = 0;
    c->error[CHARGE_V] = excess_v;
    c->error[MIDDLE] = alone ? -SLOW_PART : 0;
    c->error[SLOW] = alone ? SLOW_PART : 0;
    c->covariance[UP(CHARGE_V, CHARGE_V)] = BEGIN_V * BEGIN_V;
    c->covariance[UP(TABLE_V, TABLE_V)] = table_v * table_v;
    if (c->highest > NEVER_LOST)
        ohm = 1;
    c->covariance[UP(FAST, FAST)] = ohm * ohm;
    c->covariance[UP(MIDDLE, MIDDLE)] = c->covariance[UP(SLOW, SLOW)] = pair * pair;
    c->covariance[UP(PER_SOC, PER_SOC)] = capacity2;
    for (int k = 0; k < ASSB_LEAKS; k++)
        begin_test(c->test + k);
    c->lost = c->jumps = 0;
    c->alone = alone;
    c->begun = 1;
}

/* What R0 surely was higher by of late; 0: no contact was lost. */
static real lost_frac(const ASSB_EST(charge_evidence) *c)
{
    real most = c->highest > c->measured ? c->highest : c->measured;
    return most > NEVER_LOST ? most : 0;
}

/* Whether R0 was higher than a cell's, surely, or so far as anyone knows. */
static int was_lost(const ASSB_EST(charge_evidence) *c, real sigma)
{
    return c->highest > NEVER_LOST || c->error[FAST] + UNKNOWN_SIGMAS * sigma > UNKNOWN_LOST;
}

static real resistance_walk(const detection_params_t *q, const ASSB_EST(charge_evidence) *c, const move_t *m)
{
    real sigma = ASSB_EST(square_root)(c->covariance[UP(FAST, FAST)]);
    int may_return = was_lost(c, sigma) && c->error[FAST] + sigma > LOST_LEAST;
    int free = m->size_c > WORKS_C && (m->pair || !m->charges || may_return || c->lean < -LEAN);
    real more = magnitude(c->lean) - 1;
    return free ? q->charge_contact * (1 + (more > 0 ? LEAN_MORE * more : 0)) : OHM_DRIFT;
}

/* Of the filter that follows the voltage: a contact that is lost misleads it. */
static real soc_error_of(const ASSB_EST(charge_evidence) *c, const state_t *state, const move_t *m)
{
    real error = ASSB_EST(square_root)(state->covariance[0]), surest = m->alone ? SOC_ERROR_LEAST : SOC_ERROR_PACK;
    error = error > surest ? error : surest;
    if (c->highest > NEVER_LOST && m->slope_v > 0)
        error = error + least(c->highest * c->ohm * magnitude(c->current_a) / m->slope_v, SOC_ERROR_MOST);
    return error;
}

/* How much steeper the OCV is than where its table is to be trusted, squared. */
static real above_knee2(const detection_params_t *q, const move_t *m)
{
    real above_v = m->slope_v - q->charge_slope_most_v;
    return above_v > 0 ? above_v * above_v : 0;
}

static real charge_walk(const detection_params_t *q, const params_t *cell, const ASSB_EST(charge_evidence) *c,
                        const state_t *state, const move_t *m, real hours)
{
    real drift_v = m->alone ? q->charge_drift_v : q->pack_drift_v, part = m->alone ? 1 : KNOWN_PACK;
    real travelled = magnitude(m->soc), half = m->alone ? 1 : (real)0.5;
    real warm2 = ENTROPY_ERROR_V_PER_K * ENTROPY_ERROR_V_PER_K * ENTROPY_K * magnitude(m->warmed_k);
    real middle_v = magnitude(c->open2_v - c->open2_then_v), slow_v = magnitude(c->open3_v - c->open3_then_v);
    real relax2 = RELAX_ERROR * RELAX_ERROR *
                  (middle_v * (magnitude(c->open2_v) + middle_v) + slow_v * (magnitude(c->open3_v) + slow_v));
    real unknown_v = LOOP_UNKNOWN * half * cell->hysteresis_v * (1 - c->driven);
    real shape_v = LOOP_ERROR * half * cell->hysteresis_v;
    real loop2 = 2 * unknown_v * unknown_v * cell->hysteresis_rate * travelled +
                 (real)0.5 * shape_v * shape_v * magnitude(m->turned);
    real soc_error = soc_error_of(c, state, m), width = soc_error > BEND_SOC ? soc_error : BEND_SOC;
    real bend = table_at(cell->docv_v, state->soc + width) - table_at(cell->docv_v, state->soc - width);
    real bent_v = BEND_ERROR * soc_error * bend;
    real knee_v = m->steep ? KNEE_SHARE * m->slope_v * travelled + KNEE_V : 0;
    real bend2 = m->steep ? knee_v * knee_v : bent_v * bent_v / (2 * width) * travelled;
    real offset_v = m->alone && !m->rests ? m->slope_v * q->charge_offset_c : 0;
    real knee2 = EVENS_SOC * EVENS_SOC * above_knee2(q, m) * m->evened2;
    return (drift_v * drift_v + OFFSET_HOURS * offset_v * offset_v) * hours + part * (warm2 + relax2) +
           (loop2 + bend2 + knee2);
}

/* From one window to the next. */
static void move_errors(const detection_params_t *q, const params_t *cell, detection_t *d, const state_t *state,
                        const move_t *m, real dt_s)
{
    ASSB_EST(charge_evidence) *c = &d->charge;
    real *x = c->error, *p = c->covariance, hours = dt_s / (real)3600;
    real per = m->slope_v * m->soc, travelled = magnitude(m->soc), keep = 1 / (1 + travelled / TABLE_SOC);
    x[CHARGE_V] = x[CHARGE_V] + per * x[PER_SOC];
    x[TABLE_V] = keep * x[TABLE_V];
    p[UP(CHARGE_V, CHARGE_V)] =
        p[UP(CHARGE_V, CHARGE_V)] + per * (2 * p[UP(CHARGE_V, PER_SOC)] + per * p[UP(PER_SOC, PER_SOC)]);
    for (int j = TABLE_V; j <= PER_SOC; j++)
        p[UP(CHARGE_V, j)] = p[UP(CHARGE_V, j)] + per * p[UP(j, PER_SOC)];
    p[UP(CHARGE_V, TABLE_V)] = keep * p[UP(CHARGE_V, TABLE_V)];
    for (int j = TABLE_V; j <= PER_SOC; j++)
        p[UP(TABLE_V, j)] = keep * p[UP(TABLE_V, j)];
    real table_v = m->alone ? q->charge_ocv_v : q->pack_ocv_v, part = m->alone ? 1 : KNOWN_PACK;
    real walk = resistance_walk(q, c, m), changed = TABLE_SHARE * TABLE_ERROR * TABLE_ERROR * magnitude(m->ohm_frac);
    real pair2 = part * (PAIR_DRIFT * PAIR_DRIFT * hours + changed + PAIR_SOC * travelled);
    p[UP(CHARGE_V, CHARGE_V)] = p[UP(CHARGE_V, CHARGE_V)] + charge_walk(q, cell, c, state, m, hours);
    p[UP(TABLE_V, TABLE_V)] = keep * p[UP(TABLE_V, TABLE_V)] + table_v * table_v * (1 - keep * keep);
    p[UP(FAST, FAST)] = p[UP(FAST, FAST)] + (walk * walk * hours + changed);
    p[UP(MIDDLE, MIDDLE)] = p[UP(MIDDLE, MIDDLE)] + pair2;
    p[UP(SLOW, SLOW)] = p[UP(SLOW, SLOW)] + pair2;
    p[UP(PER_SOC, PER_SOC)] = p[UP(PER_SOC, PER_SOC)] + CAPACITY_DRIFT * CAPACITY_DRIFT * hours;
    for (int k = 0; k < ASSB_LEAKS; k++) {
        c->test[k].follows[CHARGE_V] = c->test[k].follows[CHARGE_V] + per * c->test[k].follows[PER_SOC];
        c->test[k].follows[TABLE_V] = keep * c->test[k].follows[TABLE_V];
    }
}

/* After charge that the voltage did not tell the offset is whatever it is now. */
static void anchor(const params_t *cell, ASSB_EST(charge_evidence) *c, const real *h, real innovation_v)
{
    real *p = c->covariance, var = ANCHOR_V2;
    c->error[CHARGE_V] = c->error[CHARGE_V] + innovation_v;
    for (int i = TABLE_V; i <= PER_SOC; i++) {
        real along = 0;
        for (int j = TABLE_V; j <= PER_SOC; j++)
            along = along + p[i < j ? UP(i, j) : UP(j, i)] * h[j];
        p[UP(CHARGE_V, i)] = -along;
        var = var + h[i] * along;
    }
    p[UP(CHARGE_V, CHARGE_V)] = var;
    for (int k = 0; k < ASSB_LEAKS; k++)
        c->test[k].follows[CHARGE_V] = c->test[k].follows[CHARGE_V] + unseen_ohm(cell, c, c->test + k, h);
    c->lost = 0;
}

/* A step that stays, beyond all doubt: a contact was lost, or came back if it had been; at rest, something gave way. */
static void see_jump(const detection_params_t *q, ASSB_EST(charge_evidence) *c, const move_t *m, real sigmas,
                     real innovation_v, real current_a)
{
    c->jumps = sigmas > JUMP || sigmas < -JUMP ? c->jumps + 1 : 0;
    if (m->steep || c->jumps < 2)
        return;
    c->jumps = 0;
    real sigma = ASSB_EST(square_root)(c->covariance[UP(FAST, FAST)]);
    int leaks = m->charges && innovation_v > 0 && !m->pair && !was_lost(c, sigma);
    if (m->size_c > JUMP_C && !leaks) {
        real higher = clamp(innovation_v / (c->ohm * current_a), -JUMP_MOST, JUMP_MOST);
        c->covariance[UP(FAST, FAST)] = c->covariance[UP(FAST, FAST)] + higher * higher;
    } else if (innovation_v < 0 && m->size_c <= WORKS_C) {
        c->covariance[UP(CHARGE_V, CHARGE_V)] = c->covariance[UP(CHARGE_V, CHARGE_V)] + innovation_v * innovation_v;
        if (m->pair) /* something happens to the other cell, which may end as suddenly */
            c->seen_s = least(c->seen_s, q->charge_settle_s - RELEARN_S);
    }
}

/* An innovation and its variance, with `along` as the covariance of the errors with it: what the filter learns. */
static void take(ASSB_EST(charge_evidence) *c, const real *along, real innovation, real var)
{
    real *x = c->error, *p = c->covariance;
    for (int i = 0; i < ASSB_CHARGE_ERRORS; i++) {
        real gain = along[i] / var;
        x[i] = x[i] + gain * innovation;
        for (int j = i; j < ASSB_CHARGE_ERRORS; j++)
            p[UP(i, j)] = p[UP(i, j)] - gain * along[j];
        if (p[UP(i, i)] < VARIANCE_LEAST)
            p[UP(i, i)] = VARIANCE_LEAST;
    }
}

static void learn_resistance(ASSB_EST(charge_evidence) *c, real innovation, real var)
{
    real along[ASSB_CHARGE_ERRORS];
    for (int i = 0; i < ASSB_CHARGE_ERRORS; i++)
        along[i] = c->covariance[i < FAST ? UP(i, FAST) : UP(FAST, i)];
    for (int k = 0; k < ASSB_LEAKS; k++)
        follow(c->test + k, along, var, -c->test[k].follows[FAST]);
    take(c, along, innovation, var);
}

/* What a step of the current says of R0: an innovation and its variance. */
static void learn_told(const params_t *cell, ASSB_EST(charge_evidence) *c, real innovation, real var)
{
    for (int k = 0; k < ASSB_LEAKS; k++) {
        ASSB_EST(leak_test) *t = c->test + k;
        real unseen = -t->follows[FAST], leak = leak_c[k] * cell->capacity_ah * unseen;
        t->known = t->known + unseen * unseen / var;
        t->shown = t->shown + unseen * innovation / var;
        learn_nats(t, leak * (innovation - (real)0.5 * leak) / var);
    }
    learn_resistance(c, innovation, var);
}

/* A step of the current has told R0. All of them have one error, so that many tell no more than one. */
static void learn_step(const params_t *cell, ASSB_EST(charge_evidence) *c)
{
    real *variance = c->covariance + UP(FAST, FAST), innovation = c->current_step.higher - c->error[FAST];
    real sigma = c->current_step.sigma, share_of = STEP_HIGHER * c->current_step.higher;
    real told2 = sigma * sigma + share_of * share_of, var = *variance + told2;
    if (magnitude(innovation) > CLIP * ASSB_EST(square_root)(var)) { /* R0 jumped, for all that is known */
        real jump2 = innovation * innovation / (CLIP * CLIP);
        *variance = jump2 > 2 * told2 ? jump2 : 2 * told2;
        c->lost = 1; /* and the offset is whatever goes with it */
    }
    if (*variance > told2)
        learn_told(cell, c, innovation, *variance * *variance / (*variance - told2));
    if (sigma < STEP_KNOWS) {
        real surely = c->error[FAST] - ASSB_EST(square_root)(*variance);
        c->highest = surely > 0 ? surely : 0;
        c->measured = c->highest > c->measured ? c->highest : c->measured;
    }
}

/* A resistance below any cell's: a normal distribution that is cut off there has less variance and its mean inside.
 * That it had to be cut speaks for what pushed it there. */
static void hold_resistance(const params_t *cell, ASSB_EST(charge_evidence) *c)
{
    real higher = c->error[FAST], var = c->covariance[UP(FAST, FAST)], sigma = ASSB_EST(square_root)(var);
    if (higher >= OHM_LEAST)
        return;
    for (int k = 0; k < ASSB_LEAKS; k++) {
        real beyond = leak_c[k] * cell->capacity_ah * c->test[k].follows[FAST] / sigma;
        learn_nats(c->test + k, CUT_NATS * clamp(-beyond, -2, 1));
    }
    learn_resistance(c, (OHM_LEAST + CUT_MEAN * sigma - higher) / CUT_GAIN, var / CUT_GAIN);
}
