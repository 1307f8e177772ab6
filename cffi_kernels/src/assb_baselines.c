#define ASSB_PRECISION 64
#include "assb_estimator.h"
#include "assb_learning.h"
#include "assb_detection.h"
#include "assb_watch.h"
#include "assb_baselines.h"

#include <math.h> /* isfinite */

#define LEARN_S 1800     /* filters settle; no score counts before (assumption, in the baselines' favour) */
#define FORGETTING 0.998 /* per second: a memory of 500 s (assumption) */
#define SPREAD_MOST 1e6  /* of the least squares: without excitation it would forget all and grow for ever */
#define DRIFT_EVERY_S 60
#define DRIFT_LEAST_POINTS 15
#define START_SIGMA 0.1
#define SECONDS_PER_HOUR 3600.0
#define LEAK 4 /* place among the filter's states */

void assb_baselines_reset(assb_baselines *b, const double *low, const double *ratio)
{
    static const assb_baseline_cell none;
    for (int k = 0; k < b->cells; k++) {
        b->cell[k] = none;
        b->cell[k].covariance[0] = b->cell[k].covariance[2] = 1;
        for (int score = 0; score < ASSB_BASELINES; score++)
            assb_crossings_reset(&b->cell[k].crossings[score], low[score], ratio[score], 0);
    }
    b->rows = b->seconds = b->drift_points = 0;
    b->sum_a = 0;
}

/* Sorts them; of an even count the mean of the middle two. */
static double median_of(double *values, int count)
{
    for (int k = 1; k < count; k++) {
        double value = values[k];
        int at = k;
        for (; at > 0 && values[at - 1] > value; at--)
            values[at] = values[at - 1];
        values[at] = value;
    }
    return 0.5 * (values[(count - 1) / 2] + values[count / 2]);
}

/* A filter as in the literature on SOC drift: it knows no leak, so that a leak has to show against the counted charge.
 */
static void forget_leak(assb_est_f64_state *s)
{
    s->leak_a = 0;
    for (int k = 0; k <= LEAK; k++)
        s->covariance[ASSB_UPPER(k, LEAK)] = 0;
    s->resistance_cross[LEAK] = 0;
}

static void move_filter(const assb_baselines *b, int k)
{
    const assb_est_f64_params *p = b->params + k;
    assb_baseline_cell *c = b->cell + k;
    const assb_est_f64_sample sample = {c->voltage_v, b->current_a, b->temperature_degc, b->pressure_mpa, 1};
    if (b->seconds == 0) {
        double soc = assb_est_f64_rested_soc(p, c->voltage_v, b->temperature_degc);
        (void)assb_est_f64_reset(p, &c->filter, soc < 0 ? 0 : soc > 1 ? 1 : soc, START_SIGMA);
    }
    forget_leak(&c->filter);
    if (assb_est_f64_step(p, &c->filter, &sample) != ASSB_OK)
        (void)assb_est_f64_predict(p, &c->filter, &sample);
    c->counted += b->current_a / (SECONDS_PER_HOUR * p->capacity_ah);
}

/* First-order difference of V - I R0 (Xu, Liao, arXiv 2506.13394); here with R0 of the present temperature and
 * pressure, and in a pack against the median of all, both in its favour. */
static void move_pseudo_ocv(const assb_baselines *b, int k)
{
    assb_baseline_cell *c = b->cell + k;
    double pseudo_v = c->voltage_v - b->current_a * c->filter.r0_ohm;
    c->pseudo_fall_v = b->seconds > 0 ? c->pseudo_v - pseudo_v : 0;
    c->pseudo_v = pseudo_v;
}

/* Mean-difference model with recursive least squares and forgetting (Zhang et al. 2019, doi:10.5772/intechopen.88534):
 * cell less mean = dE + I dR. */
static void move_difference(const assb_baselines *b, int k, double mean_v)
{
    assb_baseline_cell *c = b->cell + k;
    double *p = c->covariance, current_a = b->current_a;
    double toward[2] = {p[0] + p[1] * current_a, p[1] + p[2] * current_a};
    double spread = FORGETTING + toward[0] + toward[1] * current_a;
    double gain[2] = {toward[0] / spread, toward[1] / spread};
    double miss_v = c->voltage_v - mean_v - c->differs[0] - c->differs[1] * current_a;
    c->differs[0] += gain[0] * miss_v;
    c->differs[1] += gain[1] * miss_v;
    p[0] -= gain[0] * toward[0];
    p[1] -= gain[0] * toward[1];
    p[2] -= gain[1] * toward[1];
    for (int n = 0; n < 3 && p[0] + p[2] < SPREAD_MOST; n++)
        p[n] /= FORGETTING;
    if (b->seconds == LEARN_S)
        c->usual_v = c->differs[0];
}

/* Slope of filter less counted SOC over the window, least squares; a leak takes charge that was counted as kept. */
static void move_drift(assb_baselines *b)
{
    if (b->seconds % DRIFT_EVERY_S != 0 || b->seconds < LEARN_S)
        return;
    long newest = b->drift_points++;
    long count = b->drift_points < ASSB_DRIFT_POINTS ? b->drift_points : ASSB_DRIFT_POINTS;
    double middle = 0.5 * (double)(count - 1), square = 0;
    for (long n = 0; n < count; n++)
        square += ((double)n - middle) * ((double)n - middle);
    for (int k = 0; k < b->cells; k++) {
        assb_baseline_cell *c = b->cell + k;
        double sum = 0;
        c->drift[newest % ASSB_DRIFT_POINTS] = c->filter.soc - c->counted;
        for (long n = 0; n < count; n++)
            sum += ((double)n - middle) * c->drift[(newest - count + 1 + n) % ASSB_DRIFT_POINTS];
        if (count >= DRIFT_LEAST_POINTS)
            c->drift_per_h = sum / square * (SECONDS_PER_HOUR / DRIFT_EVERY_S);
    }
}

/* What the pack has in common at the moment; 0 for a cell alone. */
typedef struct {
    double voltage_v, fall_v, drift_per_h;
} usual;

static usual usual_of(const assb_baselines *b)
{
    double voltage_v[ASSB_PACK_MOST], fall_v[ASSB_PACK_MOST], drift_per_h[ASSB_PACK_MOST];
    usual none = {0, 0, 0};
    if (b->cells == 1)
        return none;
    for (int k = 0; k < b->cells; k++) {
        voltage_v[k] = b->cell[k].voltage_v;
        fall_v[k] = b->cell[k].pseudo_fall_v;
        drift_per_h[k] = b->cell[k].drift_per_h;
    }
    usual all = {median_of(voltage_v, b->cells), median_of(fall_v, b->cells), median_of(drift_per_h, b->cells)};
    return all;
}

/* A voltage beyond the cell's window, or in a pack below the others'. */
static double outside_v(const assb_baselines *b, const assb_baseline_cell *c, double usual_v)
{
    double under_v = b->low_v - c->voltage_v, over_v = c->voltage_v - b->high_v;
    double beyond_v = under_v > over_v ? under_v : over_v;
    double below_v = b->cells > 1 ? usual_v - c->voltage_v : beyond_v;
    return below_v > beyond_v ? below_v : beyond_v;
}

static void see(assb_baselines *b, double time_s)
{
    usual all = usual_of(b);
    int compares = b->cells > 1 && b->seconds > LEARN_S;
    for (int k = 0; k < b->cells; k++) {
        assb_baseline_cell *c = b->cell + k;
        const double score[ASSB_BASELINES] = {outside_v(b, c, all.voltage_v), c->pseudo_fall_v - all.fall_v,
                                              compares ? c->usual_v - c->differs[0] : 0,
                                              all.drift_per_h - c->drift_per_h};
        for (int n = 0; n < ASSB_BASELINES; n++)
            assb_crossings_see(&c->crossings[n], score[n], time_s);
    }
}

static void second(assb_baselines *b, double time_s)
{
    double mean_v = 0, rows = (double)b->rows_per_second;
    b->current_a = b->sum_a / rows;
    for (int k = 0; k < b->cells; k++) {
        b->cell[k].voltage_v = b->cell[k].sum_v / rows;
        mean_v += b->cell[k].voltage_v / b->cells;
    }
    if (!isfinite(mean_v + b->current_a + b->temperature_degc + b->pressure_mpa))
        return;
    for (int k = 0; k < b->cells; k++) {
        move_filter(b, k);
        move_pseudo_ocv(b, k);
        move_difference(b, k, mean_v);
    }
    move_drift(b);
    see(b, time_s);
    b->seconds++;
}

void assb_baselines_run(assb_baselines *b, const assb_watch_columns *in, long n)
{
    for (long row = 0; row < n; row++) {
        b->sum_a += in->current_a[row];
        for (int k = 0; k < b->cells; k++)
            b->cell[k].sum_v += in->voltage_v[row * b->cells + k];
        if (++b->rows < b->rows_per_second)
            continue;
        b->temperature_degc = in->temperature_degc[row];
        b->pressure_mpa = in->pressure_mpa[row];
        second(b, in->time_s[row]);
        b->rows = 0;
        b->sum_a = 0;
        for (int k = 0; k < b->cells; k++)
            b->cell[k].sum_v = 0;
    }
}
