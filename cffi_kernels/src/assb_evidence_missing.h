/* Evidence of charge 3: what the current brought and the voltage does not show. Included by assb_detection.c. */

#define MEAN_TAU_S ((real)30)
#define SLOW_TAU_S ((real)600)
#define LEARN_LEAST_LOOP ((real)0.02)
#define SLOW_SHARE ((real)0.05)
#define CLEAR_TAUS ((real)3) /* what was smoothed is gone */
#define LEARN_TAU_S ((real)28800)
#define LEARN_LEAST_C ((real)0.02) /* changes that are worth as much are needed to learn from (assumption) */
#define HALF_A_BIN ((real)0.5)
#define MAP_MOST_V ((real)0.3)
#define MAP_VISITS ((real)4)
#define MAP_LEAVES ((real)0.25) /* of the table's error, once it is learned (assumption) */
#define ENTROPY_ERROR_V_PER_K ((real)0.0002)
#define REST_SHARE ((real)0.3) /* of the tolerance, for a cell that rests */
#define ACTIVE_C ((real)0.1)
#define ACTIVE_TAU_S ((real)1800)
#define USUAL_TAU_S ((real)172800)
#define EXPERIENCE_S ((real)14400) /* of time that count as much as a charge (assumption) */
#define BEND_SOC ((real)0.03)
#define BEND_SIGMAS ((real)1)
#define BEND_SIGMA_LEAST ((real)0.005)
#define LOOP_ERROR ((real)0.2) /* of half the hysteresis loop (assumption) */
#define FAST_SURE_S ((real)30) /* how long a score has to stand (assumption) */
#define SLOW_SURE_S ((real)120)
#define SOC_AT_END ((real)1e-4)
#define TABLE_ERROR ((real)0.35) /* of a change of R0 with temperature and pressure */

static void lose_charge(detection_t *d)
{
    d->charge.cells = -1; /* the reference is no longer what excess was counted from */
    d->charge.bin = -1;
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

/* The model of a cell without a leak: the current alone drives it. */
static void move_open(const params_t *cell, detection_t *d, const state_t *state, const sample_t *in)
{
    ASSB_EST(charge_evidence) *c = &d->charge;
    real scale = state->resistance_scale * table_at(cell->rc_factor, state->soc);
    real r1_ohm = scale * along_temperature(cell, cell->r1_ohm, in->temperature_degc);
    real r2_ohm = scale * along_temperature(cell, cell->r2_ohm, in->temperature_degc);
    c->open1_v = c->open1_v + share(in->dt_s, cell->tau1_s) * (r1_ohm * in->current_a - c->open1_v);
    c->open2_v = c->open2_v + share(in->dt_s, cell->tau2_s) * (r2_ohm * in->current_a - c->open2_v);
    real size_a = magnitude(in->current_a), sign = in->current_a > 0 ? 1 : in->current_a < 0 ? -1 : 0;
    real turn = cell->hysteresis_rate * size_a * in->dt_s / ((real)3600 * capacity_ah(cell, state));
    c->open_hysteresis = c->open_hysteresis + turn / (1 + turn) * (sign - c->open_hysteresis);
}

/* The middle of the latest few: a loose wire's jumps are gone. */
static void push_latest(ASSB_EST(charge_evidence) *c, real deficit_v)
{
    real sorted[ASSB_LATEST];
    for (int k = ASSB_LATEST - 1; k > 0; k--)
        c->latest_v[k] = c->seen_s == 0 ? deficit_v : c->latest_v[k - 1];
    c->latest_v[0] = deficit_v;
    for (int k = 0; k < ASSB_LATEST; k++)
        sorted[k] = c->latest_v[k];
    c->deficit_v = lower_median(sorted, ASSB_LATEST);
}

/* By how much the voltage lies below that of a cell that lost no charge. */
static void find_deficit(const params_t *cell, detection_t *d, const state_t *state, const sample_t *in)
{
    ASSB_EST(charge_evidence) *c = &d->charge;
    move_open(cell, d, state, in);
    c->shown_v = c->shown_v + table_at(cell->docv_v, state->soc) * d->missing;
    real ocv_v =
        table_at(cell->ocv_v, state->soc) + cell->entropy_v_per_k * (in->temperature_degc - cell->ocv_temperature_degc);
    real polarised_v = cell->hysteresis_v * c->open_hysteresis + (c->open1_v + c->open2_v);
    push_latest(c, c->shown_v + (ocv_v + (polarised_v + state->r0_ohm * in->current_a) - in->voltage_v));
}

/* What goes with the current, at once or slowly, or with the hysteresis, is an error of the resistances, a diffusion
 * that the model lacks, or an error of the loop: learned from their changes (ridge regression that forgets), and taken
 * off. */
static real unexplained(detection_t *d, const params_t *cell, const real *change, real rise_v, real dt_s)
{
    ASSB_EST(charge_evidence) *c = &d->charge;
    real keep = 1 - share(dt_s, LEARN_TAU_S), least_a = LEARN_LEAST_C * cell->capacity_ah;
    for (int i = 0; i < ASSB_CAUSES; i++) {
        for (int j = i; j < ASSB_CAUSES; j++)
            c->causes[ASSB_CAUSE(i, j)] = keep * c->causes[ASSB_CAUSE(i, j)] + change[i] * change[j];
        c->caused_v[i] = keep * c->caused_v[i] + change[i] * rise_v;
    }
    real a = c->causes[0] + least_a * least_a, b = c->causes[1], e = c->causes[2];
    real f = c->causes[3] + SLOW_SHARE * least_a * least_a, g = c->causes[4];
    real h = c->causes[5] + LEARN_LEAST_LOOP * LEARN_LEAST_LOOP;
    const real *v = c->caused_v;
    real k0 = f * h - g * g, k1 = e * g - b * h, k2 = b * g - e * f;
    real det = a * k0 + b * k1 + e * k2;
    real by0 = k0 * v[0] + k1 * v[1] + k2 * v[2];
    real by1 = k1 * v[0] + (a * h - e * e) * v[1] + (b * e - a * g) * v[2];
    real by2 = k2 * v[0] + (b * e - a * g) * v[1] + (a * f - b * b) * v[2];
    real higher_ohm = -(by0 + by1) / det;
    c->higher_ohm = higher_ohm > 0 ? higher_ohm : 0;
    return rise_v - (change[0] * by0 + change[1] * by1 + change[2] * by2) / det;
}

/* What the OCV table misses shows at the same SOC on charge and on discharge; a short takes both ways. */
static real learned_v(detection_t *d, const state_t *state, real rise_v, real direction, real *doubt_v)
{
    ASSB_EST(charge_evidence) *c = &d->charge;
    int half = ASSB_SOC_BINS / 2, place = (int)(state->soc * (real)half);
    if (place > half - 1)
        place = half - 1;
    real bin = direction == 0 ? -1 : (real)(place + (direction > 0 ? 0 : half));
    real moved = state->soc - c->soc;
    c->soc = state->soc;
    if (bin != c->bin) {
        int old = (int)c->bin;
        if (c->bin >= 0 && magnitude(c->bin_soc) * (real)half > HALF_A_BIN) {
            real seen_v = clamp(c->bin_v / c->bin_soc, -MAP_MOST_V, MAP_MOST_V);
            c->visits[old] = c->visits[old] < MAP_VISITS ? c->visits[old] + 1 : MAP_VISITS;
            c->map_v[old] = c->map_v[old] + (seen_v - c->map_v[old]) / c->visits[old];
        }
        c->bin = bin;
        c->bin_v = c->bin_soc = 0;
    }
    c->bin_v = c->bin_v + rise_v;
    c->bin_soc = c->bin_soc + moved;
    *doubt_v = -1;
    if (c->visits[place] == 0 || c->visits[place + half] == 0)
        return 0;
    *doubt_v = (real)0.5 * magnitude(c->map_v[place] - c->map_v[place + half]);
    if (bin < 0)
        return 0;
    return (real)0.5 * (c->map_v[place] + c->map_v[place + half]) * moved;
}

/* What a second may miss although nothing is short: the sensor's offset, which all cells of a pack share, and
 * self-discharge. */
static real allowed_v(const detection_params_t *q, real slope_v, real dt_s, int alone)
{
    return slope_v * ((alone ? q->charge_offset_c : 0) + q->self_discharge_c) * dt_s / (real)3600;
}

/* Error of dOCV/dSOC, V per unit SOC: what is learned of it is taken off, as far as both ways agree. */
static real table_error_v(const detection_params_t *q, real doubt_v, int alone)
{
    real table_v = alone ? q->charge_slope_frac : q->pack_slope_frac;
    real left_v = MAP_LEAVES * table_v + doubt_v;
    return doubt_v >= 0 && left_v < table_v ? left_v : table_v;
}

/* What a rise may be although nothing is short, over an ampere's worth of tolerances: `ohm` is what the resistances may
 * be wrong by, r0_ohm what they are; `contact` how many times R0 a lost contact may add, which on discharge looks like
 * a leak until the current changes. */
typedef struct {
    real current_a, ohm, higher_ohm, r0_ohm, degc, loop, loop_v, soc, table_v, table_most_v, capacity_v, contact,
        tolerance_v, widest, sure_s, dt_s;
} account_t;

static real explained(const account_t *a, const ASSB_EST(charge_sum) *m)
{
    real volts = a->ohm * magnitude(a->current_a - m->up_a) +
                 TABLE_ERROR * magnitude(a->r0_ohm - m->up_ohm) * magnitude(a->current_a) +
                 ENTROPY_ERROR_V_PER_K * magnitude(a->degc - m->up_degc) + a->loop_v * magnitude(a->loop - m->up_loop);
    real moved = magnitude(a->soc - m->up_soc), table_v = a->table_v * moved;
    volts = volts + a->capacity_v * moved + (table_v < a->table_most_v ? table_v : a->table_most_v);
    if (a->current_a < 0)
        volts = volts - a->contact * a->r0_ohm * a->current_a;
    else /* a contact that was lost may come back */
        volts = volts + a->higher_ohm * a->current_a;
    return volts;
}

/* Up and down sums of a rise; a sound cell goes as far either way. */
static void add_up(ASSB_EST(charge_sum) *m, const account_t *a, real rise_v, real allowed_v)
{
    m->up_v = m->up_v + (rise_v - allowed_v);
    m->risen_v = m->risen_v + rise_v;
    m->up_s = later(m->up_s, a->dt_s);
    real explained_v = explained(a, m), beyond_v = m->up_v - explained_v;
    if (beyond_v > m->up_most_v)
        m->up_most_v = beyond_v;
    if (m->up_v <= 0) {
        if (m->up_most_v > m->usual_v) /* it went away again: no short does */
            m->usual_v = m->up_most_v;
        m->up_v = m->up_most_v = m->risen_v = m->up_s = 0;
        m->up_a = a->current_a;
        m->up_ohm = a->r0_ohm;
        m->up_degc = a->degc;
        m->up_loop = a->loop;
        m->up_soc = a->soc;
    }
    m->down_v = m->down_v - (rise_v + allowed_v);
    if (m->down_v <= 0) {
        m->down_v = 0;
        m->down_a = a->current_a;
    }
    m->usual_v = m->usual_v - m->usual_v * share(a->dt_s, USUAL_TAU_S);
    beyond_v = m->down_v - a->ohm * magnitude(a->current_a - m->down_a);
    if (beyond_v > m->usual_v)
        m->usual_v = beyond_v;
    real usual_v = a->widest * m->usual_v;
    m->score = m->up_v / ((usual_v > a->tolerance_v ? usual_v : a->tolerance_v) + explained_v);
    /* a spike, as where the current comes by the value that it had at the beginning, is no evidence */
    m->sure = m->score < m->sure ? m->score : m->sure + share(a->dt_s, a->sure_s) * (m->score - m->sure);
}

/* What SOC's own uncertainty makes of a bend of the OCV nearby. */
static real bend_v(const params_t *cell, const state_t *state)
{
    real bend = table_at(cell->docv_v, state->soc + BEND_SOC) - table_at(cell->docv_v, state->soc - BEND_SOC);
    real sigma = ASSB_EST(square_root)(state->covariance[0]);
    return BEND_SIGMAS * magnitude(bend) * (sigma > BEND_SIGMA_LEAST ? sigma : BEND_SIGMA_LEAST);
}

/* A leak shows across the resistances, as soon as they and the smoothing follow, then as charge. */
static void estimate_leak(const params_t *cell, detection_t *d, real loop_ohm, real slope_v, real ah, real tolerance_v)
{
    ASSB_EST(charge_evidence) *c = &d->charge;
    const ASSB_EST(charge_sum) *m = c->fast.score > c->slow.score ? &c->fast : &c->slow;
    real shown_ohm = loop_ohm * (1 - share(cell->tau2_s + MEAN_TAU_S, m->up_s + (real)1e-3));
    real per_v = 1 / (shown_ohm + slope_v * m->up_s / ((real)3600 * ah) + (real)1e-6);
    c->leak_a = m->risen_v * per_v;
    c->leak_sigma_a = (real)0.5 * tolerance_v * per_v;
}

/* Smoothed, so that what a load's ups and downs show of the model is gone. Returns whether there is one before. */
static int smooth(const detection_params_t *q, detection_t *d, const sample_t *in, const reference_t *reference,
                  real *rise_v, real *change)
{
    ASSB_EST(charge_evidence) *c = &d->charge;
    real part = share(in->dt_s, MEAN_TAU_S);
    if (c->seen_s == 0) {
        c->mean_v = c->deficit_v;
        c->current_a = c->slow_a = in->current_a;
        c->loop = c->open_hysteresis;
    }
    c->mean_v = c->mean_v + part * (c->deficit_v - c->mean_v);
    change[0] = part * (in->current_a - c->current_a);
    change[1] = share(in->dt_s, SLOW_TAU_S) * (in->current_a - c->slow_a);
    change[2] = part * (c->open_hysteresis - c->loop);
    c->current_a = c->current_a + change[0];
    c->slow_a = c->slow_a + change[1];
    c->loop = c->loop + change[2];
    c->seen_s = later(c->seen_s, in->dt_s);
    c->known = c->seen_s >= q->charge_settle_s && c->clear_s >= CLEAR_TAUS * MEAN_TAU_S;
    real excess_v = c->mean_v - reference->deficit_v;
    *rise_v = excess_v - c->excess_v;
    int compared = c->known > 0 && c->cells == reference->cells;
    c->excess_v = excess_v;
    c->cells = c->known > 0 ? reference->cells : -1;
    return compared;
}

static real least(real a, real b)
{
    return a < b ? a : b;
}

/* 3: a sum of what is missing, that forgets what the sensors' errors explain (CUSUM). */
static void see_missing_charge(const detection_params_t *q, const params_t *cell, detection_t *d, const state_t *state,
                               const sample_t *in, const reference_t *reference)
{
    ASSB_EST(charge_evidence) *c = &d->charge;
    real slope_v = table_at(cell->docv_v, state->soc), ah = capacity_ah(cell, state);
    real rise_v, change[ASSB_CAUSES];
    int alone = reference->cells < ASSB_COMPARED;
    real doubt = q->charge_soc_sigma_max * q->charge_soc_sigma_max;
    int at_end = state->soc < SOC_AT_END || state->soc > 1 - SOC_AT_END || slope_v > q->charge_slope_most_v;
    int blind = slope_v < q->charge_slope_least_v || at_end || state->covariance[0] > doubt;
    c->clear_s = blind ? 0 : later(c->clear_s, in->dt_s);
    find_deficit(cell, d, state, in);
    if (!smooth(q, d, in, reference, &rise_v, change)) {
        c->soc = state->soc;
        c->bin = -1;
        c->held = 1;
        /* what was missing before stays on the account */
        tell(d, ASSB_MISSING_CHARGE, c->seen_s < q->charge_settle_s ? ASSB_LEARNING : ASSB_UNAVAILABLE, 0);
        return;
    }
    real fell_v = c->held > 0 ? least(c->excess_v - c->held_v, 0) : 0;
    if (c->held > 0)
        rise_v = 0; /* what happened meanwhile may clear the cell, not accuse it */
    c->held = 0;
    c->held_v = c->excess_v;
    real direction = in->current_a > q->rest_c * ah ? 1 : in->current_a < -q->rest_c * ah ? -1 : 0;
    real left_v = unexplained(d, cell, change, rise_v, in->dt_s);
    c->travelled = later(c->travelled, magnitude(state->soc - c->soc));
    real doubt_v;
    left_v = left_v - learned_v(d, state, left_v, direction, &doubt_v);
    real size_c = magnitude(in->current_a) / (ACTIVE_C * ah);
    size_c = size_c < 1 ? size_c : 1;
    c->active = size_c > c->active ? size_c : c->active - share(in->dt_s, ACTIVE_TAU_S) * (c->active - size_c);
    /* time teaches what a rest shows, and charge what a current does */
    real learned = c->travelled + (1 - c->active) * c->seen_s / EXPERIENCE_S;
    learned = learned * learned;
    real wide = 1 + q->charge_new / (1 + learned * learned);
    if (d->state[ASSB_CONTACT_LOSS] == ASSB_ACTIVE)
        wide = wide * (1 + d->score[ASSB_CONTACT_LOSS]);
    real ocv_v = (alone ? q->charge_ocv_v : q->pack_ocv_v) * (REST_SHARE + (1 - REST_SHARE) * c->active);
    real tolerance_v = wide * (ocv_v + slope_v * q->charge_soc_frac + bend_v(cell, state));
    real loop = ASSB_EST(loop_ohm)(cell, state, in->temperature_degc);
    real allowed = allowed_v(q, slope_v, in->dt_s, alone);
    account_t account;
    account.current_a = c->current_a;
    account.ohm = (alone ? q->charge_resistance_frac : q->pack_resistance_frac) * loop;
    account.higher_ohm = c->higher_ohm;
    account.r0_ohm = state->r0_ohm;
    account.degc = in->temperature_degc;
    account.loop = c->open_hysteresis;
    /* where in its loop a new cell is nobody knows, until it has been driven to one side */
    real driven = 1 + c->travelled * cell->hysteresis_rate;
    account.loop_v = cell->hysteresis_v * (LOOP_ERROR + (1 - LOOP_ERROR) / (driven * driven));
    account.soc = state->soc;
    account.table_v = table_error_v(q, doubt_v, alone);
    account.table_most_v = alone ? q->charge_table_v : q->pack_table_v;
    account.capacity_v = slope_v * (q->charge_capacity_frac + (alone ? q->charge_gain_frac : 0));
    account.contact = q->charge_contact;
    account.tolerance_v = q->charge_slow * tolerance_v;
    account.widest = q->charge_usual;
    account.sure_s = SLOW_SURE_S;
    account.dt_s = in->dt_s;
    c->slow.up_v = c->slow.up_v + fell_v;
    add_up(&c->slow, &account, left_v, allowed);
    account.tolerance_v = q->charge_fast * tolerance_v;
    account.sure_s = FAST_SURE_S;
    c->fast.up_v = c->fast.up_v + fell_v;
    add_up(&c->fast, &account, left_v, allowed + slope_v * q->charge_fast_c * in->dt_s / (real)3600);
    estimate_leak(cell, d, loop, slope_v, ah, q->charge_slow * tolerance_v);
    judge(d, ASSB_MISSING_CHARGE, c->fast.sure > c->slow.sure ? c->fast.sure : c->slow.sure);
}
