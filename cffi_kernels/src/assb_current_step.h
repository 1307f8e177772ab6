/* Evidence 3: what a step of the current tells of R0. Included by assb_detection.c; see the twin,
 * detection/current_step.py. */

#define STEP_LEAST_C ((real)0.05)
#define STEP_LEAST_V ((real)1e-6)
#define STEP_STEADY ((real)0.05)
#define STEP_SPAN_S ((real)4)
#define STEP_MIXED_S ((real)1.5) /* a second with the begin of a step in it, and not the next */
#define STEP_OHM ((real)0.04)
#define STEP_PACK ((real)0.4)
#define STEP_V ((real)0.0005)
#define STEP_KNEE ((real)0.1)

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
    int told = steady && step_a > least_a && b->age_s <= STEP_SPAN_S && magnitude(over_v) > STEP_LEAST_V;
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
