/* Evidence of charge 3: what the current brought and the voltage does not show. Included by assb_detection.c.
 *
 * A Kalman filter of what may be wrong with the model (assb_charge_error), and beside it CUSUM tests for leaks of four
 * sizes, each with what its leak would do to the voltage and to the filter (generalised likelihood ratio, Willsky and
 * Jones 1976, doi:10.1109/TAC.1976.1101146). */

#define SLOWER ((real)8)       /* a third pair, of diffusion, over the second one's time (assumption) */
#define SLOW_PART ((real)0.45) /* of the second pair's resistance that is rather the third's (assumption) */
#define SOONER ((real)0.6)     /* of tau2: the middle one, once the slow one is taken off */
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
#define DEGC_TAU_S ((real)120) /* what a sensor's noise makes of changes is gone */
#define OHM_TAU_S ((real)60)
#define OHM_DRIFT ((real)0.02) /* of R0, per root of an hour; likewise the others */
#define PAIR_DRIFT ((real)0.05)
#define PAIR_SOC ((real)0.05) /* variance of the pairs' error per SOC that is travelled */
#define CAPACITY_DRIFT ((real)0.0005)
#define NEVER_LOST ((real)0.15)  /* higher resistances than this are a contact that is lost ... */
#define UNKNOWN_LOST ((real)0.6) /* ... and such may be one, for all that is known */
#define UNKNOWN_SIGMAS ((real)1.5)
#define LOST_LEAST ((real) - 0.1) /* ... until they are lower than this ... */
#define LOST_TAU_S ((real)14400)  /* ... and for so long may it come back */
#define WORKS_C ((real)0.005)
#define JUMP_C ((real)0.02)
#define LEAN_TAU_S ((real)60)
#define LEAN ((real)0.4)
#define LEAN_MORE ((real)3)
#define CLIP ((real)3) /* sigmas of an innovation; what is farther off counts for no more */
#define JUMP ((real)4) /* sigmas; twice in a row */
#define JUMP_MOST ((real)3)
#define STEP_ERROR ((real)0.03) /* of R0, in a window in which the current changes */
#define HIGHER_STEP ((real)0.05)
#define CURRENT_ERROR ((real)0.003)
#define OFFSET_TAU_S ((real)600)
#define STRAY_TAU_S ((real)300)
#define STRAYS_V ((real)0.01) /* within that time: the model fails all cells (assumption) */
#define KNEE_SHARE ((real)0.3)
#define KNEE_V ((real)0.001)
#define ANCHOR_V2 ((real)1e-7)
#define BEGIN_V ((real)0.02)
#define PACK_NOISE ((real)1.4)
#define REST_MOST ((real)5) /* nats of one window */
#define WORK_MOST ((real)3)
#define SOC_AT_END ((real)1e-4)
#define OFFSET_HOURS ((real)2)
#define OHM_LEAST ((real) - 0.5) /* no lower: what looks like it is something else (assumption) */
#define OHM_MOST ((real)6)
#define CAPACITY_MOST ((real)0.06) /* errors beyond these are none: the filter begins anew */
#define DOUBT ((real)0.5)
#define RELEARN_S ((real)300)
#define LEAK_ERROR ((real)0.25)  /* of a leak's rate, as the resistances are that it shows across */
#define STEP_MOST ((real)0.02)   /* of the capacity: what took more is no step */
#define STRONG_FRAC ((real)0.08) /* in an hour */
#define TAKEN_MOST ((real)0.08)  /* of the capacity: a leak that took so much is told, or none */
#define CUT_MEAN ((real)0.8)
#define CUT_GAIN ((real)0.64)
#define CUT_NATS ((real)0.7)
#define STEP_HIGHER ((real)0.1) /* of that error itself */
#define STEP_LEAST_C ((real)0.05)
#define STEP_STEADY ((real)0.05)
#define STEP_SPAN_S ((real)4)
#define STEP_MIXED_S ((real)1.5) /* a second with the begin of a step in it, and not the next */
#define STEP_OHM ((real)0.04)
#define STEP_PACK ((real)0.4)
#define STEP_V ((real)0.0005)
#define STEP_KNEE ((real)0.1)
#define STEP_KNOWS ((real)0.1)
#define VARIANCE_LEAST ((real)1e-14)

/* Where the voltage tells nothing. */
static int is_at_end(real soc)
{
    return soc < SOC_AT_END || soc > 1 - SOC_AT_END;
}

static void begin_test(ASSB_EST(leak_test) *m)
{
    static const ASSB_EST(leak_test) none;
    *m = none;
}

/* At a temperature; the axis is full. */
static real along_temperature(const params_t *cell, const real *table, real temperature_degc)
{
    const real *axis = cell->r0_temperature_degc;
    int t = 0;
    while (t < ASSB_TEMPERATURE_POINTS - 2 && temperature_degc >= axis[t + 1])
        t++;
    real fraction = clamp((temperature_degc - axis[t]) / (axis[t + 1] - axis[t]), 0, 1);
    return table[t] + fraction * (table[t + 1] - table[t]);
}

/* All that lies between OCV and terminals. */
real ASSB_EST(loop_ohm)(const params_t *cell, const state_t *state, real temperature_degc)
{
    return state->r0_ohm + state->resistance_scale * (along_temperature(cell, cell->r1_ohm, temperature_degc) +
                                                      along_temperature(cell, cell->r2_ohm, temperature_degc));
}

/* A reading within the sensor's error is taken for none: at rest an open contactor lets nothing through. */
static real flowing_a(const detection_params_t *q, const params_t *cell, real current_a)
{
    return magnitude(current_a) < 2 * q->charge_offset_c * cell->capacity_ah ? 0 : current_a;
}

/* Every sample: a ripple, too, turns the hysteresis. */
static void turn_loop(const params_t *cell, detection_t *d, const state_t *state, real current_a, real dt_s)
{
    ASSB_EST(charge_evidence) *c = &d->charge;
    real sign = current_a > 0 ? 1 : current_a < 0 ? -1 : 0;
    real turn = cell->hysteresis_rate * magnitude(current_a) * dt_s / ((real)3600 * capacity_ah(cell, state));
    turn = turn / (1 + turn);
    c->open_hysteresis = c->open_hysteresis + turn * (sign - c->open_hysteresis);
    c->driven = c->driven + turn * (1 - c->driven);
}

/* The model of a cell without a leak: the current alone drives it. Returns by how much the voltage lies below it. */
static real find_deficit(const params_t *cell, detection_t *d, const state_t *state, const sample_t *in, real current_a)
{
    ASSB_EST(charge_evidence) *c = &d->charge;
    real factor = table_at(cell->rc_factor, state->soc);
    real r1_ohm = factor * along_temperature(cell, cell->r1_ohm, in->temperature_degc);
    c->ohm = state->r0_ohm / state->resistance_scale;
    c->fast_ohm = c->ohm + r1_ohm;
    c->slow_ohm = factor * along_temperature(cell, cell->r2_ohm, in->temperature_degc);
    c->open1_v = c->open1_v + share(in->dt_s, cell->tau1_s) * (r1_ohm * current_a - c->open1_v);
    c->open2_v = c->open2_v + share(in->dt_s, cell->tau2_s) * (c->slow_ohm * current_a - c->open2_v);
    c->open3_v = c->open3_v + share(in->dt_s, SLOWER * cell->tau2_s) * (c->slow_ohm * current_a - c->open3_v);
    real table_v = table_at(cell->ocv_v, state->soc), slope_v = table_at(cell->docv_v, state->soc);
    real whole = state->soc + state->soc_residual;
    if (c->table_known > 0) { /* there and back again leaves nothing behind */
        real counted = d->missing + (whole - c->soc_then);
        c->shown_v = c->shown_v + ((real)0.5 * (c->slope_then_v + slope_v) * counted - (table_v - c->table_then_v));
    }
    c->table_known = 1;
    c->soc_then = whole;
    c->table_then_v = table_v;
    c->slope_then_v = slope_v;
    real ocv_v = table_v + cell->entropy_v_per_k * (in->temperature_degc - cell->ocv_temperature_degc);
    real polarised_v = cell->hysteresis_v * c->open_hysteresis + (c->open1_v + c->open2_v);
    return c->shown_v + (ocv_v + (polarised_v + c->ohm * current_a) - in->voltage_v);
}

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

/* What a window of seconds may add to the errors: charge that moves, time, temperature. */
typedef struct {
    real slope_v, soc, turned, warmed_k, ohm_frac, size_c;
    int alone, pair, rests, steep, charges;
} move_t;

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
    return (drift_v * drift_v + OFFSET_HOURS * offset_v * offset_v) * hours + part * (warm2 + relax2) + (loop2 + bend2);
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

/* The leaks that are tested for, per nominal Ah. A weaker one is found by none, a stronger one by the next below. */
static const real leak_c[ASSB_LEAKS] = {(real)0.5, (real)0.05, (real)0.0125, (real)0.0018};

/* What an ampere of leak does meanwhile: to the pairs, to the charge, and at rest to the hysteresis. */
static void move_test(const params_t *cell, const ASSB_EST(charge_evidence) *c, ASSB_EST(leak_test) *t, const move_t *m,
                      real leak_a, real per_as, real dt_s)
{
    t->middle = t->middle + share(dt_s, SOONER * cell->tau2_s) * (1 - t->middle);
    t->slow = t->slow + share(dt_s, SLOWER * cell->tau2_s) * (1 - t->slow);
    t->taken_v = t->taken_v + m->slope_v * per_as * dt_s;
    t->hours = t->hours + dt_s / (real)3600;
    t->loud_h = t->loud_h + dt_s / (real)3600;
    real turn = cell->hysteresis_rate * (m->rests ? per_as * dt_s : magnitude(m->soc));
    if (m->rests)
        t->turned = t->turned + turn / (1 + turn * leak_a) * (1 + c->open_hysteresis - leak_a * t->turned);
    else
        t->turned = t->turned / (1 + turn);
}

/* Voltage that is missing per ampere of leak, and that the filter does not take for an error. */
static real unseen_ohm(const params_t *cell, const ASSB_EST(charge_evidence) *c, const ASSB_EST(leak_test) *t,
                       const real *h)
{
    real fast = 1 + c->error[FAST], middle = (1 + c->error[MIDDLE]) * t->middle, slow = (1 + c->error[SLOW]) * t->slow;
    real ohm = (fast > (real)0.5 ? fast : (real)0.5) * c->fast_ohm + c->slow_ohm * (middle + slow);
    ohm = ohm + (t->taken_v + cell->hysteresis_v * t->turned);
    for (int k = 0; k < PER_SOC; k++)
        ohm = ohm - h[k] * t->follows[k];
    return ohm;
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

/* Whether a leak took so much of the capacity within these hours. */
static int took_more(const ASSB_EST(leak_test) *t, const params_t *cell, real hours, real frac)
{
    return hours * t->shown > frac * cell->capacity_ah * t->known;
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

/* What the filter takes of the leak, per ampere of it. */
static void follow(ASSB_EST(leak_test) *t, const real *along, real var, real unseen)
{
    for (int i = 0; i < ASSB_CHARGE_ERRORS; i++)
        t->follows[i] = t->follows[i] + along[i] / var * unseen;
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

static void learn_nats(ASSB_EST(leak_test) *t, real nats)
{
    t->nats = t->nats + nats;
    if (t->nats <= 0)
        begin_test(t);
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

/* Every second: whether it ends a step of the current; the row is of this second. */
static int see_step(const params_t *cell, const state_t *state, ASSB_EST(charge_evidence) *c,
                    const ASSB_EST(charge_row) *row, real change_a, real dt_s)
{
    ASSB_EST(current_step) *b = &c->current_step;
    b->age_s = later(b->age_s, dt_s);
    real step_a = magnitude(row->current_a - b->current_a), over_v = row->fast_v - b->fast_v;
    real steady_a = STEP_STEADY * step_a;
    int steady = change_a < steady_a && b->change_a < steady_a;
    real least_a = STEP_LEAST_C * cell->capacity_ah;
    int told = steady && step_a > least_a && b->age_s <= STEP_SPAN_S && over_v != 0;
    if (told) {
        real part = c->cells < 2 ? 1 : STEP_PACK;
        real moved =
            (magnitude(row->current_a) + magnitude(b->current_a)) * b->age_s / ((real)3600 * capacity_ah(cell, state));
        real knee_v = STEP_KNEE * part * table_at(cell->docv_v, state->soc) * moved, ohm = STEP_OHM * part;
        b->higher = (b->excess_v - row->excess_v) / over_v;
        b->sigma = ASSB_EST(square_root)(ohm * ohm + (STEP_V * STEP_V + knee_v * knee_v) / (over_v * over_v));
    }
    /* a second with a small part of a step is no base for the rest of it */
    int holds = change_a >= STEP_STEADY * least_a && b->age_s <= (step_a > least_a ? STEP_SPAN_S : STEP_MIXED_S);
    if (told || (change_a < (real)0.5 * least_a && !holds)) {
        b->excess_v = row->excess_v;
        b->current_a = row->current_a;
        b->fast_v = row->fast_v;
        b->change_a = change_a;
        b->age_s = 0;
    }
    return told;
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
    m.steep = m.slope_v > q->charge_slope_most_v * (m.rests ? 2 : 1);
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
    c->ends = c->ends > 0 || (reference->ends > 0 && current_a != 0) || magnitude(strays_v) > STRAYS_V ||
              is_at_end(state->soc);
    c->rows = c->rows + 1;
    if (c->rows >= ASSB_LATEST) {
        close_seconds(q, cell, d, state, in, reference);
        begin_seconds(c);
    }
    if (c->seen_s < q->charge_settle_s)
        tell(d, ASSB_MISSING_CHARGE, ASSB_LEARNING, 0);
    else
        judge(d, ASSB_MISSING_CHARGE, -least(-c->nats / q->charge_nats, -c->returns.score));
}
