/* Compiled once per precision through assb_detection_f32.c and assb_detection_f64.c. What the evidences mean, their
 * confounders and sources are written at the twin, firmware/assb/detection/; here are the same operations in the same
 * order. One included file per kind of evidence.
 */
#include "assb_estimator.h"
#include "assb_learning.h"
#include "assb_detection.h"

#include <stddef.h>

typedef ASSB_REAL real;
typedef ASSB_EST(params) params_t;
typedef ASSB_EST(state) state_t;
typedef ASSB_EST(detection_params) detection_params_t;
typedef ASSB_EST(detection_sample) sample_t;
typedef ASSB_EST(reference) reference_t;
typedef ASSB_EST(detection) detection_t;

#define LONG_S ((real)1e5) /* counters of time stop here: single precision still counts tenths */
#define SECOND_S ((real)0.95)
#define SCORE_MOST ((real)100)
#define LAST_KNOT (ASSB_OCV_POINTS - 1)

static real least(real a, real b)
{
    return a < b ? a : b;
}

static real clamp(real x, real low, real high)
{
    return x < low ? low : x > high ? high : x;
}

static real magnitude(real x)
{
    return x < 0 ? -x : x;
}

static real later(real age_s, real dt_s)
{
    real sum = age_s + dt_s;
    return sum > LONG_S ? LONG_S : sum;
}

/* Share of a first-order lag that dt_s makes up; rational, so that it is the same everywhere. */
static real share(real dt_s, real tau_s)
{
    return dt_s / (tau_s + dt_s);
}

static real table_at(const real *table, real soc)
{
    real place = clamp(soc, 0, 1) * (real)LAST_KNOT;
    int knot = (int)place;
    if (knot > LAST_KNOT - 1)
        knot = LAST_KNOT - 1;
    return table[knot] + (place - (real)knot) * (table[knot + 1] - table[knot]);
}

static real capacity_ah(const params_t *cell, const state_t *state)
{
    return cell->capacity_ah * state->capacity_scale;
}

static void tell(detection_t *d, int evidence, int state, real score)
{
    d->state[evidence] = (real)state;
    d->score[evidence] = clamp(score, 0, SCORE_MOST);
}

/* Normal below a score of 1, active from there on. */
static void judge(detection_t *d, int evidence, real score)
{
    tell(d, evidence, score >= 1 ? ASSB_ACTIVE : ASSB_NORMAL, score);
}

static void say_nothing(detection_t *d, int evidence)
{
    tell(d, evidence, ASSB_UNAVAILABLE, 0);
}

/* Lower median: with an even count the one that misses less. */
static real lower_median(real *values, long count)
{
    for (long i = 1; i < count; i++) {
        real value = values[i];
        long at = i;
        for (; at > 0 && values[at - 1] > value; at--)
            values[at] = values[at - 1];
        values[at] = value;
    }
    return count > 0 ? values[(count - 1) / 2] : 0;
}

static real median(real *values, long count)
{
    real low = lower_median(values, count);
    return (real)0.5 * (low + values[count / 2]);
}

enum { CHARGE_V, TABLE_V, FAST, MIDDLE, SLOW, PER_SOC };
#define UP(i, j) ((i) * (2 * ASSB_CHARGE_ERRORS - 1 - (i)) / 2 + (j)) /* i <= j */

#include "assb_evidence_returns.h"
#include "assb_deficit.h"
#include "assb_current_step.h"
#include "assb_leak_test.h"
#include "assb_charge_errors.h"
#include "assb_evidence_missing.h"
#include "assb_evidence_charge.h"
#include "assb_evidence_fast.h"
#include "assb_evidence_resistance.h"
#include "assb_evidence_stack.h"
#include "assb_fusion.h"

int ASSB_EST(detection_check)(const detection_params_t *q)
{
    const real *number = (const real *)q;
    for (size_t k = 0; k < sizeof *q / sizeof *number; k++)
        if (!(number[k] >= -(real)1e6 && number[k] <= (real)1e6))
            return ASSB_BAD_PARAMETER;
    int sound = q->dip_sigmas > 0 && q->dip_window_s > 0 && q->dip_count >= 1 && q->dip_count <= ASSB_DIPS &&
                q->noise_ratio > 1 && q->charge_ocv_v > 0 && q->pack_ocv_v > 0 && q->charge_noise_v > 0 &&
                q->charge_nats > 0 && q->charge_slope_least_v > 0 && q->rest_window_s > 0 && q->rest_ratio > 0 &&
                q->rest_leak_c > 0 && q->cv_tail_c > 0 && q->efficiency_drop_frac > 0 && q->resistance_drop_frac > 0 &&
                q->resistance_rise_frac > 0 && q->stall_ratio < 1 && q->stall_s > 0 && q->heat_w > 0 &&
                q->charge_alone >= 1 && q->swelling_low < 1 && q->swelling_high > 1 && q->rest_c > 0 && q->step_c > 0;
    return sound ? ASSB_OK : ASSB_BAD_PARAMETER;
}

void ASSB_EST(detection_reset)(detection_t *d)
{
    real *number = (real *)d;
    for (size_t k = 0; k < sizeof *d / sizeof *number; k++)
        number[k] = 0;
    for (int k = 0; k < ASSB_SWELLING_BINS; k++)
        d->swelling.usual[k] = 1;
    d->charge.cells = -1;
    d->charge.lag_c = UNSEEN_C;
    d->since_step_s = d->since_move_s = LONG_S;
}

void ASSB_EST(detection_blind)(detection_t *d)
{
    d->has_soc = d->charge.table_known = 0;
    d->charge.current_step.age_s = LONG_S;
    lose_dip(&d->dips);
    d->noise.has_before = 0;
    d->resistance.seen = 0;
}

void ASSB_EST(detection_lose)(detection_t *d)
{
    ASSB_EST(detection_blind)(d);
    d->span_s = d->sum_v = d->sum_a = d->counted = d->rose = 0;
    d->charge.rested_s = 0;
    d->charge.lag_c = UNSEEN_C;
    lose_charge(d);
    lose_returns(&d->charge.returns);
    lose_rest(d);
    d->tail.hold_s = d->tail.points = 0;
    d->efficiency.begun = d->efficiency.turned = 0;
    d->stall.span_s = 0;
    d->swelling.begun = 0;
    d->heat.span_s = 0;
}

/* A step of current or a move of the press masks what looks at single samples. */
static void see_changes(const detection_params_t *q, const params_t *cell, detection_t *d, const sample_t *in)
{
    real change_a = magnitude(in->current_a - d->current_a);
    d->since_step_s = change_a > q->step_c * cell->capacity_ah ? 0 : later(d->since_step_s, in->dt_s);
    d->current_a = in->current_a;
    if (magnitude(in->aim_mpa - d->aim_mpa) > (real)0.01 * magnitude(d->aim_mpa)) {
        d->aim_mpa = in->aim_mpa;
        d->since_move_s = 0;
    } else {
        d->since_move_s = later(d->since_move_s, in->dt_s);
    }
}

/* What the current brought in this sample, and by how much SOC rose in it. */
static void count_charge(const detection_params_t *q, const params_t *cell, detection_t *d, const state_t *state,
                         const sample_t *in)
{
    real soc = state->soc + state->soc_residual, current_a = in->current_a;
    real counted = in->dt_s / ((real)3600 * capacity_ah(cell, state)) * current_a;
    turn_loop(cell, d, state, flowing_a(q, cell, current_a), in->dt_s);
    if (current_a > 0)
        counted = counted * cell->coulombic_efficiency_frac;
    if (d->has_soc > 0) {
        d->counted = d->counted + counted;
        d->rose = d->rose + (soc - d->soc_before);
    }
    d->soc_before = soc;
    d->has_soc = 1;
}

int ASSB_EST(detection_sample_taken)(const detection_params_t *q, const params_t *cell, detection_t *d,
                                     const state_t *state, const sample_t *in)
{
    see_changes(q, cell, d, in);
    count_charge(q, cell, d, state, in);
    see_dips(q, cell, d, state, in);
    see_noise(q, d, in);
    see_resistance(q, cell, d, state, in);
    d->span_s = d->span_s + in->dt_s;
    d->sum_v = d->sum_v + in->voltage_v * in->dt_s;
    d->sum_a = d->sum_a + in->current_a * in->dt_s;
    return d->span_s >= SECOND_S;
}

void ASSB_EST(detection_reference)(const detection_t *all, long count, long own, reference_t *r)
{
    real deficit_v[ASSB_PACK_MOST + 1], slope[ASSB_PACK_MOST], ratio[ASSB_PACK_MOST];
    real passed = all[own].charge.returns.passed;
    r->took_c[0] = r->took_c[1] = 0;
    long others = 0, rested = 0, heard = 0, cycled = 0;
    real other_v = 0;
    int ends = 0;
    for (long k = 0; k < count && k < ASSB_PACK_MOST; k++) {
        if (k != own && all[k].charge.known > 0 && all[k].stage == 0) {
            other_v = all[k].charge.deficit_v;
            ends = ends || (all[k].has_soc > 0 && is_at_end(all[k].soc_before));
            deficit_v[others++] = other_v - all[k].charge.offset_v;
            const ASSB_EST(returns) *returns = &all[k].charge.returns;
            if (passed > 0 && returns->passed == passed && returns->told_s[0] > 0 && returns->told_s[1] > 0) {
                for (int way = 0; way < 2; way++) {
                    real took_c = HOUR_S * returns->more[way] / returns->over_s[way];
                    r->took_c[way] = cycled > 0 && r->took_c[way] > took_c ? r->took_c[way] : took_c;
                }
                cycled++;
            }
        }
        if (all[k].rest.windows > 0)
            slope[rested++] = -all[k].rest.slope_v_per_s;
        if (all[k].noise.ratio > 0)
            ratio[heard++] = all[k].noise.ratio;
    }
    deficit_v[others] = all[own].charge.deficit_v - all[own].charge.offset_v;
    r->cells = (real)(others + 1);
    r->ends = ends;
    r->deficit_v = others > 1 ? median(deficit_v, others + 1) : other_v;
    r->slope_v_per_s = rested > 1 ? -lower_median(slope, rested) : 0;
    r->passed = cycled > 1 ? passed : 0; /* of one other cell alone nobody knows whose fault a difference is */
    r->noise_ratio = heard > 1 ? lower_median(ratio, heard) : 1;
}

int ASSB_EST(detection_second)(const detection_params_t *q, const params_t *cell, detection_t *d, const state_t *state,
                               const sample_t *in, const reference_t *reference)
{
    sample_t mean = *in;
    mean.dt_s = d->span_s;
    mean.voltage_v = d->sum_v / d->span_s;
    mean.current_a = d->sum_a / d->span_s;
    see_missing_charge(q, cell, d, state, &mean, reference);
    see_rest(q, cell, d, state, &mean, reference);
    see_tail(q, cell, d, &mean);
    see_efficiency(q, cell, d, state, &mean);
    see_stall(q, cell, d, state, &mean);
    see_swelling(q, cell, d, state, &mean);
    see_heat(q, cell, d, state, &mean);
    judge_noise(q, d, reference);
    d->span_s = d->sum_v = d->sum_a = d->counted = d->rose = 0;
    return fuse(q, d, state, &mean);
}
