#include "assb_stack.h"
#include "assb_math.h"

#include <stddef.h>

#define CREEP_NEAR 0.013

static double elastic_mpa(const assb_stack_params *p, const assb_stack_state *s, double gap_um)
{
    return p->stiffness_mpa_per_um * (s->height_um - s->creep_um - gap_um);
}

static double positive(double stress_mpa)
{
    return stress_mpa > 0 ? stress_mpa : 0; /* an open gap pulls on nothing */
}

#define PARAMETER_MOST 1e12 /* beyond, results would not stay finite */
#define EXPONENT_MOST 40.0

static int all_are(const double *values, size_t count, double least, double most)
{
    for (size_t k = 0; k < count; k++)
        if (!(values[k] >= least && values[k] <= most)) /* NaN is not */
            return 0;
    return 1;
}

int assb_stack_check(const assb_stack_params *p)
{
    const double positive[] = {
        p->stiffness_mpa_per_um,
        p->viscous_tau_s[0],
        p->viscous_tau_s[1],
        p->creep_pressure_mpa,
        1 - p->viscous_frac[0] - p->viscous_frac[1],
    };
    const double not_below_zero[] = {p->viscous_frac[0], p->viscous_frac[1], p->creep_um_per_s};
    int is_fine = all_are(positive, sizeof positive / sizeof *positive, 1 / PARAMETER_MOST, PARAMETER_MOST) &&
                  all_are(not_below_zero, sizeof not_below_zero / sizeof *not_below_zero, 0, PARAMETER_MOST) &&
                  all_are(&p->creep_exponent, 1, 1, EXPONENT_MOST) && p->creep_most_um >= 0;
    return is_fine ? ASSB_OK : ASSB_BAD_PARAMETER;
}

double assb_stack_reset(const assb_stack_params *p, assb_stack_state *s, double height_um, double pressure_mpa)
{
    static const assb_stack_state zero;
    double carried = 1;
    *s = zero;
    for (int k = 0; k < ASSB_VISCOUS; k++)
        carried -= p->viscous_frac[k];
    s->elastic_mpa = pressure_mpa / carried;
    for (int k = 0; k < ASSB_VISCOUS; k++)
        s->viscous_mpa[k] = p->viscous_frac[k] * s->elastic_mpa;
    s->pressure_mpa = pressure_mpa;
    s->height_um = height_um;
    s->ln_creep_mpa = assb_log(p->creep_pressure_mpa);
    return height_um - s->elastic_mpa / p->stiffness_mpa_per_um;
}

double assb_stack_stress_mpa(const assb_stack_params *p, const assb_stack_state *s, double gap_um)
{
    double stress = elastic_mpa(p, s, gap_um);
    for (int k = 0; k < ASSB_VISCOUS; k++)
        stress -= s->viscous_mpa[k];
    return stress;
}

/* s' = (phi e - s)/tau with e on a straight line: s1 = keep s0 + early e0 + late e1. */
static ASSB_COLD void weigh(const assb_stack_params *p, assb_stack_state *s, double dt_s)
{
    s->weights_dt_s = dt_s;
    for (int k = 0; k < ASSB_VISCOUS; k++) {
        double relaxed = -assb_expm1(-dt_s / p->viscous_tau_s[k]);
        double mean = relaxed * p->viscous_tau_s[k] / dt_s; /* of what is kept, over the step */
        s->keep[k] = 1 - relaxed;
        s->early[k] = p->viscous_frac[k] * (mean - s->keep[k]);
        s->late[k] = p->viscous_frac[k] * (1 - mean);
    }
}

/* Rate of the creep in full. */
static ASSB_COLD void evaluate_creep(const assb_stack_params *p, assb_stack_state *s)
{
    double power = p->creep_exponent * (assb_log_near(&s->ln_pressure, s->pressure_mpa) - s->ln_creep_mpa);
    s->per_at_mpa = 1 / s->pressure_mpa;
    s->per_creep_most_um = 1 / p->creep_most_um;
    s->at_um_per_s = p->creep_um_per_s * assb_exp_near(&s->creep, power);
}

/* (1 + x)^n; remainder below 4e-12 while n x is below CREEP_NEAR. */
static double power_near_one(double x, double n)
{
    return 1 + n * x * (1 + (n - 1) * (1.0 / 2) * x * (1 + (n - 2) * (1.0 / 3) * x * (1 + (n - 3) * (1.0 / 4) * x)));
}

/* Height that would be lost in dt_s at a fixed gap if there were no end of what flows: P' = -k rate (P/P0)^n has the
 * solution P = P (1 + (n-1) x)^(-1/(n-1)) with x = k rate (P/P0)^n dt / P; the first two terms of its series while they
 * suffice. */
static double flown_um(const assb_stack_params *p, assb_stack_state *s, double dt_s)
{
    double pressure_mpa = s->pressure_mpa;
    double n = p->creep_exponent;
    double harder = pressure_mpa * s->per_at_mpa - 1;
    if (!(n * n * harder * harder < CREEP_NEAR * CREEP_NEAR)) {
        evaluate_creep(p, s);
        harder = 0;
    }
    double um = s->at_um_per_s * power_near_one(harder, n) * dt_s;
    double lost_mpa = p->stiffness_mpa_per_um * um;
    if (n * lost_mpa < 1e-4 * pressure_mpa) /* per_at_mpa is 1/P nearly, which does for a correction */
        return um * (1 - 0.5 * n * lost_mpa * s->per_at_mpa);
    double x = lost_mpa / pressure_mpa;
    double order = n - 1;
    double logarithm = order > 1e-6 || order < -1e-6 ? assb_log(1 + order * x) / order : x;
    return pressure_mpa / p->stiffness_mpa_per_um * -assb_expm1(-logarithm);
}

/* It slows down as it uses up what there is: creep' = flow (1 - creep/most). */
static double crept_um(const assb_stack_params *p, assb_stack_state *s, double dt_s)
{
    double left_um = p->creep_most_um - s->creep_um;
    if (!(p->creep_um_per_s > 0 && s->pressure_mpa > 0 && left_um > 0))
        return 0;
    double flown = flown_um(p, s, dt_s);
    double share = flown * s->per_creep_most_um;
    if (share < 1e-5) /* 1 - e^-share to 2e-11 of it; without an end the share is 0 */
        return flown - flown * (s->creep_um * s->per_creep_most_um + 0.5 * share);
    return left_um * -assb_expm1(-share);
}

void assb_stack_relax(const assb_stack_params *p, assb_stack_state *s, double gap_um, double dt_s)
{
    double before = s->elastic_mpa;
    double after = positive(elastic_mpa(p, s, gap_um));
    if (dt_s != s->weights_dt_s)
        weigh(p, s, dt_s);
    for (int k = 0; k < ASSB_VISCOUS; k++)
        s->viscous_mpa[k] = s->keep[k] * s->viscous_mpa[k] + s->early[k] * before + s->late[k] * after;
    s->creep_um += crept_um(p, s, dt_s);
}

void assb_stack_press(const assb_stack_params *p, assb_stack_state *s, double gap_um)
{
    s->elastic_mpa = positive(elastic_mpa(p, s, gap_um));
    s->pressure_mpa = s->elastic_mpa;
    for (int k = 0; k < ASSB_VISCOUS; k++)
        s->pressure_mpa -= s->viscous_mpa[k];
    s->pressure_mpa = positive(s->pressure_mpa);
}
