#include "assb_sensor.h"
#include "assb_math.h"

#include <math.h> /* floor, sqrt: exact on every machine */
#include <stddef.h>

#define SECONDS_PER_HOUR 3600.0
#define NUMBER_MOST 1e12
#define TRUTH_MOST 1e100 /* with all errors on it, it still is a number */

int assb_sensor_check(const assb_sensor_params *p)
{
    const double *all = (const double *)p;
    const double not_below_zero[] = {p->drift_per_rt_h, p->noise_rms, p->quantum, p->delay_s, p->dropout_frac};
    for (size_t k = 0; k < sizeof *p / sizeof *all; k++)
        if (!(all[k] >= -NUMBER_MOST && all[k] <= NUMBER_MOST)) /* NaN is not */
            return ASSB_BAD_PARAMETER;
    for (size_t k = 0; k < sizeof not_below_zero / sizeof *not_below_zero; k++)
        if (not_below_zero[k] < 0)
            return ASSB_BAD_PARAMETER;
    int has_quanta = p->quantum == 0 || p->quantum >= 1 / NUMBER_MOST;
    return has_quanta && p->dropout_frac <= 1 ? ASSB_OK : ASSB_BAD_PARAMETER;
}

int assb_sensor_faults_check(const assb_sensor_faults *f)
{
    const double all[] = {f->gain_fault, f->offset_fault, f->noise_fault_rms};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        if (!(all[k] >= -NUMBER_MOST && all[k] <= NUMBER_MOST))
            return ASSB_BAD_PARAMETER;
    return f->noise_fault_rms >= 0 ? ASSB_OK : ASSB_BAD_PARAMETER;
}

void assb_sensor_reset(assb_sensor_state *s, uint64_t seed, uint64_t stream)
{
    static const assb_sensor_state zero;
    *s = zero;
    assb_random_seed(&s->random, seed, stream);
}

static const assb_sensor_past *past(const assb_sensor_state *s, int k)
{
    return &s->line[(s->first + k) % ASSB_SENSOR_LINE];
}

/* How many of the oldest entries are not needed to tell what was at seen_s, to rounding. */
static int spent(const assb_sensor_state *s, double seen_s)
{
    int k = 0;
    while (k + 1 < s->count && past(s, k + 1)->time_s <= seen_s + 1e-9 + 1e-14 * s->time_s)
        k++;
    return k;
}

/* Puts the truth into the line and gives what has come out of it: before the first is old enough, the first. */
static int delayed(const assb_sensor_params *p, assb_sensor_state *s, double truth, double *seen)
{
    int old = spent(s, s->time_s - p->delay_s);
    if (s->count - old >= ASSB_SENSOR_LINE)
        return ASSB_BAD_DT;
    s->first = (s->first + old) % ASSB_SENSOR_LINE;
    s->count -= old;
    if (s->count > 0 && past(s, s->count - 1)->time_s == s->time_s)
        s->count--; /* a second look in the same instant */
    const assb_sensor_past now = {s->time_s, truth};
    s->line[(s->first + s->count++) % ASSB_SENSOR_LINE] = now;
    *seen = past(s, spent(s, s->time_s - p->delay_s))->truth;
    return ASSB_OK;
}

/* The random numbers of a reading are drawn whether or not they are used: a fault leaves the others as they were. */
int assb_sensor_read(const assb_sensor_params *p, const assb_sensor_faults *faults, assb_sensor_state *s, double truth,
                     double dt_s, double *measured)
{
    if (!(dt_s >= 0 && assb_finite(dt_s)))
        return ASSB_BAD_DT;
    if (!(truth >= -TRUTH_MOST && truth <= TRUTH_MOST))
        return ASSB_BAD_VOLTAGE;
    double seen = truth, before_s = s->time_s;
    s->time_s += dt_s;
    if (p->delay_s > 0 && delayed(p, s, truth, &seen) != ASSB_OK) {
        s->time_s = before_s;
        return ASSB_BAD_DT;
    }
    s->drift += p->drift_per_rt_h * sqrt(dt_s / SECONDS_PER_HOUR) * assb_random_normal(&s->random);
    double noise = (p->noise_rms + faults->noise_fault_rms) * assb_random_normal(&s->random);
    double chance = assb_random_uniform(&s->random);
    double reading = (seen * (1 + p->gain_frac) + p->offset + s->drift) * faults->gain_fault + faults->offset_fault;
    reading += noise;
    if (p->quantum > 0)
        reading = p->quantum * floor(reading / p->quantum + 0.5);
    if (!s->has_read || !(chance < p->dropout_frac || faults->stuck))
        s->last = reading;
    s->has_read = 1;
    *measured = s->last;
    return ASSB_OK;
}

long assb_sensor_run(const assb_sensor_params *p, const assb_sensor_faults *faults, assb_sensor_state *s,
                     const double *truth, double *measured, long n, double dt_s, int *status)
{
    *status = ASSB_OK;
    for (long k = 0; k < n; k++) {
        *status = assb_sensor_read(p, faults, s, truth[k], dt_s, &measured[k]);
        if (*status != ASSB_OK)
            return k;
    }
    return n;
}
