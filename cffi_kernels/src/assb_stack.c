#include "assb_stack.h"

#include <math.h>

static double elastic_mpa(const assb_stack_params *p, const assb_stack_state *s, double height_um)
{
    double stress = p->stiffness_mpa_per_um * (height_um - s->creep_um - s->gap_um);
    return stress > 0 ? stress : 0; /* an open gap pulls on nothing */
}

static double pressure_mpa(const assb_stack_params *p, const assb_stack_state *s, double height_um)
{
    double stress = elastic_mpa(p, s, height_um);
    for (int k = 0; k < ASSB_VISCOUS; k++)
        stress -= s->viscous_mpa[k];
    return stress > 0 ? stress : 0;
}

/* Beyond friction the piston runs at a speed proportional to the excess, and its own travel removes the excess:
 * d(excess)/dt = -k mobility excess. Below friction it sticks. */
static void move_piston(const assb_stack_params *p, assb_stack_state *s, double height_um, double drive_mpa,
                        double dt_s)
{
    double excess = pressure_mpa(p, s, height_um) - drive_mpa;
    if (p->piston_um_per_s_mpa <= 0 || fabs(excess) <= p->piston_friction_mpa)
        return;
    excess -= copysign(p->piston_friction_mpa, excess);
    double rate = p->stiffness_mpa_per_um * p->piston_um_per_s_mpa;
    s->gap_um += excess / p->stiffness_mpa_per_um * -expm1(-rate * dt_s);
}

void assb_stack_reset(const assb_stack_params *p, assb_stack_state *s, double height_um, double at_mpa)
{
    double carried = 1;
    for (int k = 0; k < ASSB_VISCOUS; k++)
        carried -= p->viscous_frac[k];
    double elastic = at_mpa / carried;
    for (int k = 0; k < ASSB_VISCOUS; k++)
        s->viscous_mpa[k] = p->viscous_frac[k] * elastic;
    s->creep_um = 0;
    s->gap_um = height_um - elastic / p->stiffness_mpa_per_um;
    s->pressure_mpa = at_mpa;
}

void assb_stack_step(const assb_stack_params *p, assb_stack_state *s, const assb_stack_input *in, double dt_s)
{
    double elastic = elastic_mpa(p, s, in->height_um);
    for (int k = 0; k < ASSB_VISCOUS; k++) {
        double end = p->viscous_frac[k] * elastic;
        s->viscous_mpa[k] += (end - s->viscous_mpa[k]) * -expm1(-dt_s / p->viscous_tau_s[k]);
    }
    if (p->creep_um_per_s > 0)
        s->creep_um += p->creep_um_per_s * pow(s->pressure_mpa / p->creep_pressure_mpa, p->creep_exponent) * dt_s;
    s->gap_um += in->gap_rate_um_s * dt_s;
    move_piston(p, s, in->height_um, in->drive_mpa, dt_s);
    s->pressure_mpa = pressure_mpa(p, s, in->height_um);
}
