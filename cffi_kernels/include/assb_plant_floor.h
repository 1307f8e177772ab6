/* The least that could be called a plant: two RC pairs, hysteresis, one temperature, R0(T, P) and a pressure. It
 * simulates nothing for anybody; `assb bench plant` times it beside the full plant, as a floor of the same run. Plain C
 * with the C library's exp and pow, one each a step for R0(T, P) and one exp for hysteresis; what holds over the run is
 * taken out of the loop (no division by a parameter is left in it), and the state is local. No other trick. */
#ifndef ASSB_PLANT_FLOOR_H
#define ASSB_PLANT_FLOOR_H
#include "assb_common.h"

/* cdef begin */
typedef struct {
    double capacity_ah;
    double ocv_v[ASSB_OCV_POINTS];
    double hysteresis_v, hysteresis_rate;
    double r0_ohm, r0_activation_k, reference_k; /* R0 = r0_ohm exp(activation_k (1/T - 1/Tref)) (P/P0)^-exponent */
    double pressure_mpa, pressure_exponent;
    double rc_ohm[2], rc_tau_s[2];
    double heat_j_per_k, cooling_w_per_k;
    double swelling_mpa; /* rise of the pressure from empty to full */
} assb_floor_params;

typedef struct {
    double soc, hysteresis, rc_v[2], temperature_k, pressure_mpa, voltage_v;
} assb_floor_state;

/* n steps of dt_s with the currents given (+ charges); voltage_v takes n values. Checks nothing. */
void assb_floor_run(const assb_floor_params *params, assb_floor_state *state, const double *current_a, double ambient_k,
                    double *voltage_v, double dt_s, long n);
/* cdef end */

#endif
