/* Compiled once per precision, see assb_pressure_soc_f32.c; the same operations as in the twin, in the same order. */
#include "assb_estimator.h"
#include "assb_learning.h"
#include "assb_pressure_soc.h"

typedef ASSB_REAL real;

#define GAP_MOST_UM ((real)1e6)

static int is_plausible(real x, real most)
{
    return x >= -most && x <= most; /* false for NaN */
}

void ASSB_EST(height_soc)(const ASSB_EST(learning_params) *q, const ASSB_EST(learning) *l, const ASSB_EST(height) *at,
                          real pressure_mpa, real gap_um, real *soc, real *soc_var)
{
    real pressed_um = (pressure_mpa - at->pressure_mpa) / q->stack_stiffness_mpa_per_um;
    real grown = (pressed_um + (gap_um - at->gap_um)) / q->swelling_um;
    real curved = q->swelling_sigma_frac * grown;
    real creep_var =
        q->height_creep_um_per_rt_h * q->height_creep_um_per_rt_h * (l->elapsed_h + l->clock_s / (real)3600);
    real seen_var = q->height_sigma_um * q->height_sigma_um + q->height_hysteresis_um * q->height_hysteresis_um;
    *soc = l->anchor_soc + grown;
    *soc_var = l->anchor_var + (seen_var + creep_var) / (q->swelling_um * q->swelling_um) + curved * curved;
}

int ASSB_EST(height_step)(const ASSB_EST(params) *p, const ASSB_EST(learning_params) *q, ASSB_EST(state) *s,
                          const ASSB_EST(learning) *l, ASSB_EST(height) *at, real pressure_mpa, real gap_um)
{
    real soc, var;
    if (q->height_sigma_um == 0)
        return 0;
    if (!is_plausible(pressure_mpa, p->pressure_max_mpa) || !is_plausible(gap_um, GAP_MOST_UM))
        return ASSB_BAD_PRESSURE;
    if (l->anchor_known == 0) {
        at->known = 0;
        return 0;
    }
    if (l->elapsed_h == 0) {
        at->known = 1;
        at->pressure_mpa = pressure_mpa;
        at->gap_um = gap_um;
        return 0;
    }
    if (at->known == 0)
        return 0;
    ASSB_EST(height_soc)(q, l, at, pressure_mpa, gap_um, &soc, &var);
    if (!(var < s->covariance[ASSB_UPPER(0, 0)]))
        return 0;
    soc = soc < 0 ? 0 : soc > 1 ? 1 : soc;
    return ASSB_EST(observe_soc)(p, s, soc, ASSB_EST(square_root)(var)) == ASSB_OK;
}
