#include "assb_plant_floor.h"

#include <math.h>

enum { LAST = ASSB_OCV_POINTS - 1 };

static double ocv_v(const assb_floor_params *p, double soc)
{
    double at = (soc < 0 ? 0 : soc > 1 ? 1 : soc) * LAST;
    int knot = at < LAST ? (int)at : LAST - 1;
    return p->ocv_v[knot] + (at - knot) * (p->ocv_v[knot + 1] - p->ocv_v[knot]);
}

static void step(const assb_floor_params *p, assb_floor_state *s, double current_a, double ambient_k,
                 const double decay[2], double dt_s)
{
    double r0_ohm = p->r0_ohm * exp(p->r0_activation_k * (1 / s->temperature_k - 1 / p->reference_k)) *
                    pow(s->pressure_mpa / p->pressure_mpa, -p->pressure_exponent);
    double moved = current_a * dt_s / (3600 * p->capacity_ah);
    double turn = exp(-p->hysteresis_rate * fabs(moved));
    s->soc += moved;
    s->hysteresis = turn * s->hysteresis + (1 - turn) * copysign(1, current_a);
    double over_v = current_a * r0_ohm;
    for (int k = 0; k < 2; k++) {
        s->rc_v[k] = decay[k] * s->rc_v[k] + (1 - decay[k]) * p->rc_ohm[k] * current_a;
        over_v += s->rc_v[k];
    }
    double heat_w = current_a * over_v - p->cooling_w_per_k * (s->temperature_k - ambient_k);
    s->temperature_k += heat_w * dt_s / p->heat_j_per_k;
    s->pressure_mpa += p->swelling_mpa * moved;
    s->voltage_v = ocv_v(p, s->soc) + p->hysteresis_v * s->hysteresis + over_v;
}

void assb_floor_run(const assb_floor_params *p, assb_floor_state *s, const double *current_a, double ambient_k,
                    double *voltage_v, double dt_s, long n)
{
    const double decay[2] = {exp(-dt_s / p->rc_tau_s[0]), exp(-dt_s / p->rc_tau_s[1])};
    for (long k = 0; k < n; k++) {
        step(p, s, current_a[k], ambient_k, decay, dt_s);
        voltage_v[k] = s->voltage_v;
    }
}
