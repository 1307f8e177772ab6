/* Voids at a lithium face that is stripped faster than pressure closes them: theta, the share of contact lost,
 * theta' = rate (j/j_crit(P) - 1)+ - heal (P/Ps)^m theta, solved in closed form over a step. */
#ifndef ASSB_VOIDS_H
#define ASSB_VOIDS_H
#include "assb_common.h"

/* cdef begin */
typedef struct {
    double rate_per_s;   /* d(theta)/dt at twice the critical stripping current; 0: this anode forms none */
    double strip_ma_cm2; /* critical stripping current at strip_pressure_mpa ... */
    double strip_pressure_mpa;
    double strip_exponent; /* ... going as (P/strip_pressure_mpa)^strip_exponent */
    double heal_per_s;     /* at strip_pressure_mpa ... */
    double heal_exponent;  /* ... going as (P/strip_pressure_mpa)^heal_exponent */
    double theta_max;      /* contact resistance grows as 1/(1 - min(theta, theta_max)) */
    double height_um;      /* added per layer at theta = 1 */
    double both_ways;      /* 1: lithium on both sides (Li|Li), strips whatever the sign; 0: on discharge only */
} assb_void_params;

/* What a pressure makes of the parameters; of this cell. */
typedef struct {
    double per_strip_cm2_ma, heal_per_s;
    assb_near strip, heal;
} assb_void_rates;
/* cdef end */

/* pressed = ln(P/strip_pressure_mpa) */
void assb_voids_rates(const assb_void_params *params, assb_void_rates *rates, double pressed);
/* theta after dt_s at a stripping current density; <= 0: none strips. */
double assb_voids_step(const assb_void_params *params, const assb_void_rates *rates, double theta,
                       double stripping_ma_cm2, double dt_s);
int assb_voids_check(const assb_void_params *params);
#endif
