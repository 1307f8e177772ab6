#include "assb_plant_floor.h"

#include <math.h>

enum { LAST = ASSB_OCV_POINTS - 1 };

static double ocv_v(const assb_floor_params *p, double soc)
{
    double at = (soc < 0 ? 0 : soc > 1 ? 1 : soc) * LAST;
    int knot = at < LAST ? (int)at : LAST - 1;
    return p->ocv_v[knot] + (at - knot) * (p->ocv_v[knot + 1] - p->ocv_v[knot]);
}

void assb_floor_run(const assb_floor_params *p, assb_floor_state *state, const double *current_a, double ambient_k,
                    double *voltage_v, double dt_s, long n)
{
    /* nothing that holds over the run is left in its loop: no division by a parameter, no state behind a pointer */
    const double decay[2] = {exp(-dt_s / p->rc_tau_s[0]), exp(-dt_s / p->rc_tau_s[1])};
    const double rise_ohm[2] = {(1 - decay[0]) * p->rc_ohm[0], (1 - decay[1]) * p->rc_ohm[1]};
    const double soc_per_a = dt_s / (3600 * p->capacity_ah);
    const double k_per_w = dt_s / p->heat_j_per_k;
    const double per_reference_k = 1 / p->reference_k;
    const double per_mpa = 1 / p->pressure_mpa;
    const double r0_reference_ohm = p->r0_ohm;
    const double activation_k = p->r0_activation_k;
    const double exponent = -p->pressure_exponent;
    const double hysteresis_v = p->hysteresis_v;
    const double turn_rate = -p->hysteresis_rate;
    const double cooling_w_per_k = p->cooling_w_per_k;
    const double swelling_mpa = p->swelling_mpa;
    assb_floor_state s = *state;
    for (long k = 0; k < n; k++) {
        double now_a = current_a[k];
        double r0_ohm = r0_reference_ohm * exp(activation_k * (1 / s.temperature_k - per_reference_k)) *
                        pow(s.pressure_mpa * per_mpa, exponent);
        double moved = now_a * soc_per_a;
        double turn = exp(turn_rate * fabs(moved));
        s.soc += moved;
        s.hysteresis = turn * s.hysteresis + (1 - turn) * copysign(1, now_a);
        s.rc_v[0] = decay[0] * s.rc_v[0] + rise_ohm[0] * now_a;
        s.rc_v[1] = decay[1] * s.rc_v[1] + rise_ohm[1] * now_a;
        double over_v = now_a * r0_ohm + s.rc_v[0] + s.rc_v[1];
        s.temperature_k += (now_a * over_v - cooling_w_per_k * (s.temperature_k - ambient_k)) * k_per_w;
        s.pressure_mpa += swelling_mpa * moved;
        s.voltage_v = ocv_v(p, s.soc) + hysteresis_v * s.hysteresis + over_v;
        voltage_v[k] = s.voltage_v;
    }
    *state = s;
}
