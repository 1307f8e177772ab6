/* Mechanics of one stack: pressure from the height of what stands in it, through a series stiffness with two
 * viscoelastic stresses and a creep that stays. What moves the gap is assb_actuator.h. Double precision, host only.
 *
 * P = max(0, k max(0, h - creep - g) - s1 - s2), s_i' = (phi_i P_el - s_i)/tau_i, creep' = rate (P/P0)^n (1 -
 * creep/most). A wider gap lowers the pressure: dP/dg = -k. A spring stack is a low stiffness.
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
    double creep_most_um; /* what may flow away at all: the lithium metal that stands here; infinite: no end of it */
} assb_stack_params;

typedef struct {
    double pressure_mpa;
    double height_um; /* input: of its contents, free of load, against SOC 0 at reference_k */
    double viscous_mpa[ASSB_VISCOUS];
    double creep_um;
    double elastic_mpa; /* at the end of the last step */
    /* weights of a step of weights_dt_s, and powers near their last value: they spare exponentials */
    double weights_dt_s, keep[ASSB_VISCOUS], early[ASSB_VISCOUS], late[ASSB_VISCOUS];
    double ln_creep_mpa;
    double per_at_mpa, at_um_per_s, per_creep_most_um; /* creep at the last full evaluation; nearby by its series */
    assb_near ln_pressure, creep;
} assb_stack_state;

/* ASSB_BAD_PARAMETER unless every number but creep_most_um is finite, what must be positive is, and the viscous shares
 * leave some. */
int assb_stack_check(const assb_stack_params *params);
/* Standing at pressure_mpa since long: the viscous stresses are at their end values. Returns the gap that this takes.
 */
double assb_stack_reset(const assb_stack_params *params, assb_stack_state *state, double height_um,
                        double pressure_mpa);
/* Stress at this gap, below zero where there is no contact. */
double assb_stack_stress_mpa(const assb_stack_params *params, const assb_stack_state *state, double gap_um);
/* Relaxation and creep over dt_s in which the height went to its present value on a straight line and the gap stood.
 * Exact for that line, so stable for any dt_s. */
void assb_stack_relax(const assb_stack_params *params, assb_stack_state *state, double gap_um, double dt_s);
/* The outcome, once the actuator has moved. */
void assb_stack_press(const assb_stack_params *params, assb_stack_state *state, double gap_um);
/* cdef end */

#endif
