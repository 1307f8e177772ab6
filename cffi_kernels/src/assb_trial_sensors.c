#include "assb_trial.h"
#include "assb_math.h"

#include <math.h> /* floor, sqrt: exact on every machine */
#include <stddef.h>

#define SECONDS_PER_HOUR 3600.0

/* Marsaglia's polar method, which makes two at once. */
double assb_trial_normal(assb_trial_normals *normals)
{
    if (normals->has_spare) {
        normals->has_spare = 0;
        return normals->spare;
    }
    double x, y, square;
    do {
        x = 2 * assb_random_uniform(&normals->random) - 1;
        y = 2 * assb_random_uniform(&normals->random) - 1;
        square = x * x + y * y;
    } while (square >= 1 || square == 0);
    double stretch = sqrt(-2 * assb_log(square) / square);
    normals->spare = y * stretch;
    normals->has_spare = 1;
    return x * stretch;
}

static double delayed(assb_trial_channel *c, long tick, double truth)
{
    if (c->delay_ticks == 0)
        return truth;
    double *place = &c->line[tick % c->delay_ticks];
    double seen = tick < c->delay_ticks ? truth : *place;
    *place = truth;
    return seen;
}

/* The mean of `samples` readings, each rounded to the quantum after its noise: as a normal number of the mean and rms
 * that they have at this place between two quanta. With noise well below the quantum they stick to it, as real ones. */
static double averaged(const assb_trial_channel *c, double reading, double normal)
{
    double more_rms = c->faults.noise_fault_rms * c->per_root_samples;
    if (c->params.quantum == 0)
        return reading + (c->params.noise_rms * c->per_root_samples + more_rms) * normal;
    double quanta = reading / c->params.quantum;
    double whole = floor(quanta);
    double place = (quanta - whole) * ASSB_TRIAL_DITHER;
    int k = (int)place; /* rounding may make it ASSB_TRIAL_DITHER: the tables have one point more than that */
    k = k < ASSB_TRIAL_DITHER ? k : ASSB_TRIAL_DITHER - 1;
    double share = place - k;
    double mean = c->dither_mean[k] + share * (c->dither_mean[k + 1] - c->dither_mean[k]);
    double rms = c->dither_rms[k] + share * (c->dither_rms[k + 1] - c->dither_rms[k]);
    double shown = whole + mean + (rms + more_rms / c->params.quantum) * normal;
    double samples = (double)c->samples;
    return c->params.quantum * floor(shown * samples + 0.5) / samples;
}

/* Noise and drift are drawn whether or not they are used: a fault leaves the others as they were. */
double assb_trial_read(assb_trial *t, assb_trial_channel *c, double truth)
{
    double seen = delayed(c, t->tick, truth);
    if (c->params.drift_per_rt_h > 0)
        c->drift += c->params.drift_per_rt_h * sqrt(t->dt_s / SECONDS_PER_HOUR) * assb_trial_normal(&t->noise);
    double reading = seen * (1 + c->params.gain_frac) + c->params.offset + c->drift;
    reading = averaged(c, reading * c->faults.gain_fault + c->faults.offset_fault, assb_trial_normal(&t->noise));
    int repeats = c->stuck > 0.5;
    if (c->params.dropout_frac > 0 && assb_random_uniform(&t->chance) < c->params.dropout_frac)
        repeats = 1;
    if (!repeats || t->tick == 0)
        c->last = reading;
    return c->last;
}
