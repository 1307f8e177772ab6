#define ASSB_PRECISION 64
#include "assb_estimator.h"
#include "assb_learning.h"
#include "assb_detection.h"
#include "assb_watch.h"

#include <math.h> /* INFINITY, isfinite */

#define LOWEST_THRESHOLD 0.2 /* of the crossings, and their ratio: 0.2 .. 14 */
#define GRID_RATIO 1.115
#define ROUNDING_S 1e-6    /* of sums of times */
#define FRESH_S 1.0        /* an older expectation is none, unless slow ticks are that far apart */
#define CONTACT_MARGIN 2.0 /* a contact that is lost on discharge is none either */
#define LOAD_MARGIN 1.5    /* of the loop resistance: a load step is no collapse */

typedef assb_est_f64_detection_sample sample_t;

void assb_crossings_reset(assb_crossings *c, double low, double ratio, double from_s)
{
    c->low = low;
    c->ratio = ratio;
    c->from_s = from_s;
    c->next = low;
    c->reached = 0;
    for (int k = 0; k < ASSB_GRID; k++)
        c->at_s[k] = INFINITY;
}

void assb_crossings_see(assb_crossings *c, double score, double time_s)
{
    while (c->reached < ASSB_GRID && score >= c->next) {
        c->at_s[c->reached++] = time_s - c->from_s;
        c->next *= c->ratio;
    }
}

void assb_watch_reset(assb_watch *w)
{
    for (int k = 0; k < w->cells; k++) {
        static const assb_watch_cell none;
        w->cell[k] = none;
        assb_est_f64_detection_reset(w->detection + k);
        assb_est_f64_learning_reset(w->learning_params + k, w->learning + k);
        assb_crossings_reset(&w->cell[k].softness, LOWEST_THRESHOLD, GRID_RATIO, 0);
        assb_crossings_reset(&w->cell[k].suspicion, LOWEST_THRESHOLD, GRID_RATIO, 0);
    }
    w->rows_in_step = w->changes = w->changes_lost = 0;
    w->begun = 0;
}

void assb_watch_restart(assb_watch *w)
{
    for (int k = 0; k < w->cells; k++) {
        w->cell[k].started = w->cell[k].has_expected = w->cell[k].is_low = 0;
        w->cell[k].sum_v = w->cell[k].sum_a = 0;
        assb_est_f64_detection_lose(w->detection + k);
        assb_est_f64_learning_lose(w->learning + k);
        w->detection[k].charge.seen_s = 0; /* the new start has to settle as the first did */
    }
    w->rows_in_step = 0;
    w->begun = 0;
}

static void tell_change(assb_watch *w, int cell, double time_s)
{
    const assb_est_f64_detection *d = w->detection + cell;
    const assb_watch_change change = {time_s,        cell,      d->stage,      d->carried,
                                      d->likelihood, d->rs_ohm, d->rs_low_ohm, d->rs_high_ohm};
    if (w->changes < w->change_capacity)
        w->change[w->changes++] = change;
    else
        w->changes_lost++;
}

/* At every reading: the voltage lies far below what the model has, and no load explains it. */
static void see_collapse(assb_watch *w, int k, double voltage_v, double current_a, double time_s, double dt_s)
{
    assb_watch_cell *c = w->cell + k;
    double drawn_v = LOAD_MARGIN * c->loop_ohm * (current_a - c->slow_a);
    double contact_v = current_a < 0 ? CONTACT_MARGIN * c->loop_ohm * current_a : 0;
    double floor_v = c->expected_v + (drawn_v < 0 ? drawn_v : 0) + contact_v - w->collapse_v;
    int is_stale = time_s - c->expected_s > FRESH_S + ROUNDING_S && c->expected_s < w->step_s;
    if (!c->has_expected || is_stale || !(voltage_v < floor_v)) {
        c->is_low = 0;
        return;
    }
    /* held since the first low reading, whose own time before it does not count */
    c->low_s = c->is_low ? c->low_s + dt_s : 0;
    c->is_low = 1;
    if (c->low_s < w->collapse_hold_s - ROUNDING_S)
        return;
    double lost_v = c->expected_v - voltage_v;
    double rs_ohm = voltage_v > 0 ? c->loop_ohm * voltage_v / lost_v : 0;
    if (assb_est_f64_detection_collapsed(w->detection + k, rs_ohm))
        tell_change(w, k, time_s);
}

/* What the next collapse is judged by: the model as it was before this sample could pull it. */
static void expect(assb_watch *w, int k, const sample_t *in)
{
    const assb_est_f64_params *p = w->params + k;
    assb_est_f64_state *s = w->state + k;
    assb_watch_cell *c = w->cell + k;
    c->slow_a = in->current_a;
    c->loop_ohm = assb_est_f64_loop_ohm(p, s, in->temperature_degc);
    c->expected_v = in->voltage_v - s->innovation_v;
    c->expected_s = w->step_s;
    c->has_expected = 1;
}

static void blind(assb_watch *w, int k, const sample_t *in)
{
    const assb_est_f64_sample sample = {0, in->current_a, in->temperature_degc, in->pressure_mpa, in->dt_s};
    if (w->cell[k].started && isfinite(in->current_a))
        assb_est_f64_predict(w->params + k, w->state + k, &sample);
    assb_est_f64_learning_lose(w->learning + k);
    assb_est_f64_detection_blind(w->detection + k);
    w->cell[k].blind += 1;
}

static void step_cell(assb_watch *w, int k, const sample_t *in, double time_s)
{
    assb_watch_cell *c = w->cell + k;
    const assb_est_f64_params *p = w->params + k;
    assb_est_f64_state *s = w->state + k;
    const assb_est_f64_sample sample = {in->voltage_v, in->current_a, in->temperature_degc, in->pressure_mpa, in->dt_s};
    if (!isfinite(in->voltage_v)) {
        blind(w, k, in);
        return;
    }
    if (!c->started) {
        double soc = assb_est_f64_rested_soc(p, in->voltage_v, in->temperature_degc);
        assb_est_f64_reset(p, s, soc < 0 ? 0 : soc > 1 ? 1 : soc, w->initial_soc_sigma);
        c->started = 1;
    }
    if (assb_est_f64_step(p, s, &sample) != ASSB_OK) {
        assb_est_f64_learning_lose(w->learning + k);
        assb_est_f64_detection_blind(w->detection + k);
        c->refused += 1;
        return;
    }
    if (in->has_pressure > 0)
        assb_est_f64_learning_update(p, w->learning_params + k, s, w->learning + k, &sample);
    else
        assb_est_f64_learning_lose(w->learning + k);
    expect(w, k, in);
    const assb_est_f64_detection_params *q = w->detection_params + k;
    if (!assb_est_f64_detection_sample_taken(q, p, w->detection + k, s, in))
        return;
    assb_est_f64_reference reference;
    assb_est_f64_detection_reference(w->detection, w->cells, k, &reference);
    if (assb_est_f64_detection_second(q, p, w->detection + k, s, in, &reference))
        tell_change(w, k, time_s);
    assb_crossings_see(&c->softness, w->detection[k].softness, time_s);
    assb_crossings_see(&c->suspicion, w->detection[k].suspicion, time_s);
}

static void slow_tick(assb_watch *w, const assb_watch_columns *in, long row, double time_s)
{
    sample_t sample = {0};
    sample.temperature_degc = w->temperature_degc;
    sample.has_pressure = isfinite(in->pressure_mpa[row]);
    sample.pressure_mpa = sample.has_pressure > 0 ? in->pressure_mpa[row] : w->pressure_mpa;
    sample.has_gap = isfinite(in->gap_um[row]);
    sample.gap_um = sample.has_gap > 0 ? in->gap_um[row] : 0;
    sample.aim_mpa = isfinite(in->aim_mpa[row]) ? in->aim_mpa[row] : 0;
    sample.dt_s = time_s - w->step_s;
    w->pressure_mpa = sample.pressure_mpa;
    w->step_s = time_s;
    for (int k = 0; k < w->cells; k++) {
        assb_watch_cell *c = w->cell + k;
        sample.voltage_v = c->sum_v / (double)w->rows_in_step;
        sample.current_a = c->sum_a / (double)w->rows_in_step;
        c->sum_v = c->sum_a = 0;
        step_cell(w, k, &sample, time_s);
    }
    w->rows_in_step = 0;
}

void assb_watch_run(assb_watch *w, const assb_watch_columns *in, long n)
{
    for (long row = 0; row < n; row++) {
        double time_s = in->time_s[row], current_a = in->current_a[row];
        const double *voltage_v = in->voltage_v + row * w->cells;
        if (isfinite(in->temperature_degc[row]))
            w->temperature_degc = in->temperature_degc[row];
        if (!w->begun) { /* the first reading has no time before it */
            w->begun = 1;
            w->step_s = w->before_s = time_s;
            continue;
        }
        double dt_s = time_s - w->before_s;
        w->before_s = time_s;
        w->rows_in_step++;
        for (int k = 0; k < w->cells; k++) {
            w->cell[k].sum_v += voltage_v[k];
            w->cell[k].sum_a += current_a;
            see_collapse(w, k, voltage_v[k], current_a, time_s, dt_s);
        }
        if (w->rows_in_step >= w->rows_per_step)
            slow_tick(w, in, row, time_s);
    }
}
