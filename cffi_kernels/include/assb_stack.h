/* Mechanics of one stack: pressure from the height of what stands in it, through a series stiffness with two
 * viscoelastic stresses, and the gap that an actuator moves. Double precision, host only.
 *
 * A wider gap lowers the pressure: dP/dg = -k.
 */
#ifndef ASSB_STACK_H
#define ASSB_STACK_H
#include "assb_common.h"

/* cdef begin */
typedef struct {
    double stiffness_mpa_per_um;        /* frame, spring and cell in series */
    double viscous_frac[ASSB_VISCOUS];  /* share of the elastic stress that relaxes away */
    double viscous_tau_s[ASSB_VISCOUS]; /* in this time */
    double creep_um_per_s;              /* permanent loss of height at creep_pressure_mpa ... */
    double creep_pressure_mpa;          /* ... growing as pressure^creep_exponent */
    double creep_exponent;
    double piston_um_per_s_mpa; /* speed per MPa beyond friction; 0: no piston, the gap moves by its rate only */
    double piston_friction_mpa; /* stiction: the piston holds while |P - drive| is below it */
} assb_stack_params;

typedef struct {
    double pressure_mpa;
    double gap_um;
    double viscous_mpa[ASSB_VISCOUS];
    double creep_um;
} assb_stack_state;

typedef struct {
    double height_um;     /* of the stack's contents, free of load, relative to its height at SOC 0 and reference_k */
    double drive_mpa;     /* pressure that the piston is asked for; ignored without a piston */
    double gap_rate_um_s; /* of a screw; adds to the piston's */
} assb_stack_input;

/* Standing at pressure_mpa since long: the viscous stresses are at their end values. */
void assb_stack_reset(const assb_stack_params *params, assb_stack_state *state, double height_um, double pressure_mpa);
/* Move over dt_s with inputs held. Stable for any dt_s: piston and relaxation are solved in closed form. */
void assb_stack_step(const assb_stack_params *params, assb_stack_state *state, const assb_stack_input *in, double dt_s);
/* cdef end */

#endif
