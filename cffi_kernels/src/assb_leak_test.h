/* Evidence 3: a test for a leak of one size, beside the filter of assb_charge_errors.h. CUSUM of a generalised
 * likelihood ratio (Willsky and Jones 1976, doi:10.1109/TAC.1976.1101146). Included by assb_detection.c; see the twin,
 * detection/leak_test.py. */

#define SOONER ((real)0.6) /* of tau2: the middle one, once the slow one is taken off */

/* What a window of seconds may add to the errors: charge that moves, time, temperature. */
typedef struct {
    real slope_v, soc, turned, warmed_k, ohm_frac, size_c, evened2;
    int alone, pair, rests, steep, charges;
} move_t;

/* The leaks that are tested for, per nominal Ah. A weaker one is found by none, a stronger one by the next below. */
static const real leak_c[ASSB_LEAKS] = {(real)0.5, (real)0.05, (real)0.0125, (real)0.0018};

static void begin_test(ASSB_EST(leak_test) *m)
{
    static const ASSB_EST(leak_test) none;
    *m = none;
}

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

/* Whether a leak took so much of the capacity within these hours. */
static int took_more(const ASSB_EST(leak_test) *t, const params_t *cell, real hours, real frac)
{
    return hours * t->shown > frac * cell->capacity_ah * t->known;
}

/* What the filter takes of the leak, per ampere of it. */
static void follow(ASSB_EST(leak_test) *t, const real *along, real var, real unseen)
{
    for (int i = 0; i < ASSB_CHARGE_ERRORS; i++)
        t->follows[i] = t->follows[i] + along[i] / var * unseen;
}

static void learn_nats(ASSB_EST(leak_test) *t, real nats)
{
    t->nats = t->nats + nats;
    if (t->nats <= 0)
        begin_test(t);
}
