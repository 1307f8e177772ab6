/* What bytes do to the C that boards run. Compiled once per precision
 * (-DASSB_PRECISION).
 *
 * The bytes are edits of sound parameters and of a fresh state, then samples.
 * What the contract says is held: parameters that a check refuses go no
 * further, and a state is one that calls have left (its kept places are
 * forgotten after an edit). Beyond what the sanitizers see, `claim` names what
 * must hold.
 */
/* clang-format off: each builds on those before */
#include "assb_estimator.h"
#include "assb_learning.h"
#include "assb_pressure_soc.h"
#include "assb_power.h"
#include "assb_detection.h"
/* clang-format on */

#include "fuzz.h"
#include "sound.h"

#include <string.h>

typedef ASSB_REAL real;

typedef struct {
    ASSB_EST(params) cell;
    ASSB_EST(learning_params) learning;
    ASSB_EST(power_params) power;
    ASSB_EST(detection_params) detection;
} groups_t;

#define CELLS 3

/* A number: nine times out of ten one that means something, else whatever eight
 * bytes come to. */
static real number(fuzz_input *in, real low, real high)
{
    static const double special[] = {0, -0.0, 1, -1, 1e6, 1e-12, 1e30, -1e30, 0.0 / 0.0, 1.0 / 0.0, -1.0 / 0.0, 1e-40};
    unsigned kind = fuzz_byte(in);
    if (kind < 224)
        return low + (high - low) * (real)((double)(fuzz_byte(in) * 256 + fuzz_byte(in)) / 65535);
    if (kind < 248)
        return (real)special[kind % (sizeof special / sizeof *special)];
    double any;
    unsigned char bytes[sizeof any];
    for (size_t k = 0; k < sizeof any; k++)
        bytes[k] = (unsigned char)fuzz_byte(in);
    memcpy(&any, bytes, sizeof any);
    return any >= -1e38 && any <= 1e38 ? (real)any : (real)special[8 + bytes[0] % 3];
}

static void edit(fuzz_input *in, real *numbers, size_t count)
{
    unsigned edits = fuzz_byte(in) % 8;
    for (unsigned k = 0; k < edits; k++) {
        size_t at = (fuzz_byte(in) * 256 + fuzz_byte(in)) % count;
        real was = numbers[at];
        numbers[at] = number(in, was - 1, was + was + 1);
    }
}

static void sound_groups(groups_t *g)
{
    real *numbers = (real *)g;
    for (size_t k = 0; k < sizeof *g / sizeof *numbers; k++)
        numbers[k] = (real)sound[k];
}

/* Edits of a state, as far as they leave one that a kernel may have left: what
 * Estimator.restore of the host demands. */
static int edit_state(fuzz_input *in, const groups_t *g, ASSB_EST(state) *s)
{
    const real *numbers = (const real *)s;
    size_t count = offsetof(ASSB_EST(state), kept_dt_s) / sizeof(real);
    edit(in, (real *)s, count);
    ASSB_EST(forget)(s);
    for (size_t k = 0; k < count; k++)
        if (!(numbers[k] >= -(real)1e12 && numbers[k] <= (real)1e12))
            return 0;
    for (int k = 0; k < ASSB_STATES; k++)
        if (!(s->covariance[ASSB_UPPER(k, k)] > 0))
            return 0;
    return s->soc >= 0 && s->soc <= 1 && s->hysteresis >= -1 && s->hysteresis <= 1 &&
           s->leak_a >= -g->cell.current_max_a && s->leak_a <= g->cell.current_max_a &&
           s->capacity_scale >= (real)1e-3 && s->capacity_scale <= (real)1e3 && s->resistance_scale >= (real)1e-3 &&
           s->resistance_scale <= (real)1e3;
}

static ASSB_EST(sample) sample_of(fuzz_input *in)
{
    ASSB_EST(sample) s;
    s.voltage_v = number(in, 2, (real)4.5);
    s.current_a = number(in, -3, 3);
    s.temperature_degc = number(in, -20, 90);
    s.pressure_mpa = number(in, 0, 25);
    s.dt_s = fuzz_byte(in) % 4 ? (real)0.1 : number(in, 0, 60);
    return s;
}

static int same(const void *a, const void *b, size_t size)
{
    return memcmp(a, b, size) == 0;
}

static void fuzz_estimator(fuzz_input *in, const groups_t *g, ASSB_EST(state) *s)
{
    while (fuzz_left(in)) {
        ASSB_EST(sample) sample = sample_of(in);
        ASSB_EST(state) before = *s;
        unsigned act = fuzz_byte(in) % 4;
        int status = act == 0   ? ASSB_EST(predict)(&g->cell, s, &sample)
                     : act == 1 ? ASSB_EST(observe_soc)(&g->cell, s, number(in, 0, 1), number(in, 0, 1))
                                : ASSB_EST(step)(&g->cell, s, &sample);
        claim(status == ASSB_OK || same(&before, s, sizeof before), "a refused input changes nothing");
        claim(status == ASSB_OK || status < 0, "a status is 0 or negative");
        real soc = ASSB_EST(rested_soc)(&g->cell, sample.voltage_v, sample.temperature_degc);
        claim(!(soc < 0) && !(soc > 1), "a rested SOC is no less than 0 and no more than 1");
    }
}

static void fuzz_learning(fuzz_input *in, const groups_t *g, ASSB_EST(state) *s)
{
    ASSB_EST(learning) l, before;
    ASSB_EST(height) height;
    real values[ASSB_LEARNED];
    memset(&height, 0, sizeof height);
    ASSB_EST(learning_reset)(&g->learning, &l);
    memcpy(values, &l, sizeof values);
    edit(in, values, ASSB_LEARNED);
    before = l;
    int status = ASSB_EST(learning_restore)(&g->learning, &l, values);
    claim(status == ASSB_OK || same(&before, &l, sizeof l), "a refused record changes nothing");
    claim(l.resistance_scale >= g->learning.resistance_scale_min &&
              l.resistance_scale <= g->learning.resistance_scale_max,
          "what was restored is within its bounds");
    while (fuzz_left(in)) {
        ASSB_EST(sample) sample = sample_of(in);
        if (ASSB_EST(step)(&g->cell, s, &sample) == ASSB_OK)
            ASSB_EST(learning_update)(&g->cell, &g->learning, s, &l, &sample);
        if (fuzz_byte(in) == 0)
            ASSB_EST(learning_lose)(&l);
        ASSB_EST(height_step)(&g->cell, &g->learning, s, &l, &height, sample.pressure_mpa, number(in, 0, 300));
        claim(!(l.capacity_scale < g->learning.capacity_scale_min) &&
                  !(l.capacity_scale > g->learning.capacity_scale_max),
              "no scale leaves its bounds");
        ASSB_EST(soh_resistance_sigma)(&g->cell, &g->learning, &l);
        ASSB_EST(capacity_sigma)(&g->learning, &l);
        claim(!(ASSB_EST(soc_sigma)(s, &l) < 0), "no sigma is negative");
    }
}

static void fuzz_power(fuzz_input *in, const groups_t *g, ASSB_EST(state) *s)
{
    while (fuzz_left(in)) {
        ASSB_EST(power_ask)
        ask = {number(in, -20, 90), number(in, 0, 25), (int)fuzz_byte(in) % 2, (int)fuzz_byte(in) % 2};
        ASSB_EST(power_limit) limit, before;
        memset(&limit, 0, sizeof limit);
        before = limit;
        real most_a = ask.charging ? g->power.charge_max_a : g->power.discharge_max_a;
        int status = ASSB_EST(power_limits)(&g->cell, &g->power, s, &ask, &limit);
        claim(status == ASSB_OK || same(&before, &limit, sizeof limit), "a refused question changes no limit");
        for (int k = 0; k < ASSB_HORIZONS; k++) {
            claim(!(limit.current_a[k] < 0) && !(limit.current_a[k] > most_a), "a limit is 0 to what is configured");
            claim(limit.bound[k] >= ASSB_BOUND_NONE && limit.bound[k] <= ASSB_BOUND_STRIPPING, "a bound has a name");
        }
        if (!edit_state(in, g, s))
            return;
    }
}

static void fuzz_detection(fuzz_input *in, const groups_t *g, ASSB_EST(state) *s)
{
    ASSB_EST(detection) d[CELLS];
    ASSB_EST(reference) reference;
    for (int k = 0; k < CELLS; k++)
        ASSB_EST(detection_reset)(&d[k]);
    while (fuzz_left(in)) {
        ASSB_EST(sample) taken = sample_of(in);
        ASSB_EST(detection_sample)
        seen = {taken.voltage_v,    taken.current_a,           taken.temperature_degc,
                taken.pressure_mpa, number(in, 0, 300),        number(in, 0, 20),
                taken.dt_s,         (real)(fuzz_byte(in) % 2), (real)(fuzz_byte(in) % 2)};
        ASSB_EST(detection) *one = &d[fuzz_byte(in) % CELLS];
        unsigned act = fuzz_byte(in);
        if (act == 0)
            ASSB_EST(detection_lose)(one);
        else if (act == 1)
            ASSB_EST(detection_collapsed)(one, number(in, 0, 1));
        else if (act < 8 || ASSB_EST(step)(&g->cell, s, &taken) != ASSB_OK)
            ASSB_EST(detection_blind)(one);
        else if (ASSB_EST(detection_sample_taken)(&g->detection, &g->cell, one, s, &seen)) {
            ASSB_EST(detection_reference)(d, CELLS, one - d, &reference);
            ASSB_EST(detection_second)(&g->detection, &g->cell, one, s, &seen, &reference);
        }
        claim(one->stage >= ASSB_NO_SHORT && one->stage <= ASSB_SHORTED, "a stage is one of four");
        for (int k = 0; k < ASSB_EVIDENCES; k++)
            claim(one->state[k] >= ASSB_UNAVAILABLE && one->state[k] <= ASSB_ACTIVE,
                  "an evidence has one of its states");
    }
}

/* For the fuzzer's own test: two bytes have to be right, one behind the
 * other. */
#ifdef PLANTED
static void planted(fuzz_input *in)
{
    static int room[4];
    volatile int at = 3;
    if (fuzz_byte(in) >> 4 == 5)
        if (fuzz_byte(in) >> 4 == 0xc)
            at = 4;
    room[at] = 1;
}
#endif

void ASSB_EST(fuzz)(fuzz_input *in)
{
    groups_t g;
    ASSB_EST(state) s;
#ifdef PLANTED
    planted(in);
#endif
    unsigned target = fuzz_byte(in) % 4;
    sound_groups(&g);
    edit(in, (real *)&g, sizeof g / sizeof(real));
    if (ASSB_EST(check)(&g.cell) != ASSB_OK || ASSB_EST(learning_check)(&g.learning) != ASSB_OK ||
        ASSB_EST(power_check)(&g.power) != ASSB_OK || ASSB_EST(detection_check)(&g.detection) != ASSB_OK)
        return;
    if (ASSB_EST(reset)(&g.cell, &s, number(in, 0, 1), number(in, 0, 1)) != ASSB_OK)
        return;
    if (fuzz_byte(in) % 4 == 0 && !edit_state(in, &g, &s))
        return;
    (target == 0   ? fuzz_estimator
     : target == 1 ? fuzz_learning
     : target == 2 ? fuzz_power
                   : fuzz_detection)(in, &g, &s);
}
