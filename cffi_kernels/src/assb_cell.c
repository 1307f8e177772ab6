#include "assb_cell.h"

#include <math.h>
#include <stddef.h>

#define KELVIN 273.15
#define BOLTZMANN_EV_PER_K 8.617333262e-5 /* CODATA 2018 */
#define SECONDS_PER_HOUR 3600.0
/* Slopes past the ends of the OCV table, V per unit SOC (assumption): steep enough that voltage limits act. */
#define EMPTY_SLOPE_V 40.0
#define FULL_SLOPE_V 5.0

/* Arrhenius factor of a resistance: 1 at the reference, more in the cold. */
static double cold_factor(const assb_cell_params *p, double activation_ev, double core_degc)
{
    return exp(activation_ev / BOLTZMANN_EV_PER_K * (1 / (core_degc + KELVIN) - 1 / p->reference_k));
}

double assb_cell_r0_ohm(const assb_cell_params *p, double core_degc, double pressure_mpa)
{
    double pressed = pressure_mpa > p->contact_floor_mpa ? pressure_mpa : p->contact_floor_mpa;
    double contact = p->contact_ohm_cm2 * pow(pressed / p->contact_pressure_mpa, -p->contact_exponent);
    double areal = p->se_ohm_cm2 * cold_factor(p, p->se_activation_ev, core_degc) +
                   contact * cold_factor(p, p->contact_activation_ev, core_degc);
    return areal / (p->layers * p->layer_area_cm2);
}

double assb_cell_ocv_v(const assb_cell_params *p, double soc, double core_degc)
{
    const int last = ASSB_OCV_POINTS - 1;
    double entropic = p->entropy_v_per_k * (core_degc + KELVIN - p->reference_k);
    double ocv;
    if (!(soc >= 0)) { /* NaN too: it must not become an index */
        ocv = p->ocv_v[0] + EMPTY_SLOPE_V * soc;
        return ocv + entropic > 0 ? ocv + entropic : 0; /* an empty cell drives nothing */
    }
    if (soc >= 1)
        return p->ocv_v[last] + FULL_SLOPE_V * (soc - 1) + entropic;
    int knot = (int)(soc * last);
    ocv = p->ocv_v[knot] + (soc * last - knot) * (p->ocv_v[knot + 1] - p->ocv_v[knot]);
    return ocv + entropic;
}

static double height_um(const assb_cell_params *p, const assb_cell_state *s)
{
    double layer_mah_cm2 = 1000 * p->capacity_ah * s->soc / (p->layers * p->layer_area_cm2);
    double warm_k = 0.5 * (s->core_degc + s->surface_degc) + KELVIN - p->reference_k;
    return p->layers * p->swelling_um_per_mah_cm2 * layer_mah_cm2 + p->expansion_um_per_k * warm_k;
}

/* The short draws V Gs inside the terminals, which V itself depends on:
 * V = U + M h - sum Vi - (I + V Gs) R0  =>  V = (U + M h - sum Vi - I R0) / (1 + R0 Gs), I > 0 discharging.
 * Closing a short of Rs drops the terminals by V R0 / (Rs + R0) at once. */
static void solve_voltage(const assb_cell_params *p, assb_cell_state *s, double current_a, double short_s)
{
    s->r0_ohm = assb_cell_r0_ohm(p, s->core_degc, s->stack.pressure_mpa);
    s->ocv_v = assb_cell_ocv_v(p, s->soc, s->core_degc) + p->hysteresis_v * s->hysteresis;
    double behind = s->ocv_v;
    for (int k = 0; k < ASSB_RC_PAIRS; k++)
        behind -= s->rc_v[k];
    s->voltage_v = (behind + current_a * s->r0_ohm) / (1 + s->r0_ohm * short_s);
    s->short_a = s->voltage_v * short_s;
}

/* Charge, hysteresis and RC pairs over dt_s with the inner current held; returns their heat in W.
 * Heat after Bernardi, Pawlikowski, Newman 1985, doi:10.1149/1.2113792: overvoltages, hysteresis and -I T dU/dT. */
static double move_charge(const assb_cell_params *p, assb_cell_state *s, double inner_a, double dt_s)
{
    double moved = inner_a * dt_s / (SECONDS_PER_HOUR * p->capacity_ah);
    double warm = cold_factor(p, p->rc_activation_ev, s->core_degc);
    double reversible_v = (s->core_degc + KELVIN) * p->entropy_v_per_k + p->hysteresis_v * s->hysteresis;
    double heat_w = inner_a * inner_a * s->r0_ohm - inner_a * reversible_v;
    s->soc -= moved;
    s->hysteresis += (copysign(1, -inner_a) - s->hysteresis) * -expm1(-p->hysteresis_rate * fabs(moved));
    for (int k = 0; k < ASSB_RC_PAIRS; k++) {
        double ohm = p->rc_ohm[k] * warm;
        double before = s->rc_v[k];
        s->rc_v[k] += (ohm * inner_a - before) * -expm1(-dt_s / p->rc_tau_s[k]);
        /* given in less what the pair has stored, so that energy closes for any step */
        double stored_j = 0.5 * p->rc_tau_s[k] / ohm * (s->rc_v[k] * s->rc_v[k] - before * before);
        heat_w += 0.5 * (before + s->rc_v[k]) * inner_a - stored_j / dt_s;
    }
    return heat_w;
}

/* Core and surface by backward Euler, a 2 x 2 system: no step is too long for it. */
static void move_heat(const assb_cell_params *p, assb_cell_state *s, double ambient_degc, double dt_s)
{
    double core = p->core_j_per_k / dt_s;
    double surface = p->surface_j_per_k / dt_s;
    double link = p->core_surface_w_per_k;
    double core_w = s->heat_w + core * s->core_degc;
    double surface_w = surface * s->surface_degc + p->surface_ambient_w_per_k * ambient_degc;
    double outer = surface + p->surface_ambient_w_per_k + link;
    s->core_degc = (core_w * outer + link * surface_w) / ((core + link) * outer - link * link);
    s->surface_degc = (surface_w + link * s->core_degc) / outer;
}

int assb_cell_check(const assb_cell_params *p)
{
    const double *all = (const double *)p;
    const double positive[] = {p->capacity_ah,
                               p->reference_k,
                               p->layers,
                               p->layer_area_cm2,
                               p->contact_pressure_mpa,
                               p->contact_floor_mpa,
                               p->core_j_per_k,
                               p->surface_j_per_k,
                               p->core_surface_w_per_k,
                               p->rc_ohm[0],
                               p->rc_ohm[1],
                               p->rc_ohm[2],
                               p->rc_tau_s[0],
                               p->rc_tau_s[1],
                               p->rc_tau_s[2],
                               p->se_ohm_cm2 + p->contact_ohm_cm2,
                               p->stack.stiffness_mpa_per_um,
                               p->stack.viscous_tau_s[0],
                               p->stack.viscous_tau_s[1],
                               p->stack.creep_pressure_mpa,
                               1 - p->stack.viscous_frac[0] - p->stack.viscous_frac[1]};
    for (size_t k = 0; k < sizeof *p / sizeof *all; k++)
        if (!isfinite(all[k]))
            return ASSB_BAD_PARAMETER;
    for (size_t k = 0; k < sizeof positive / sizeof *positive; k++)
        if (!(positive[k] > 0))
            return ASSB_BAD_PARAMETER;
    return ASSB_OK;
}

int assb_cell_reset(const assb_cell_params *p, assb_cell_state *s, double soc, double temperature_degc,
                    double pressure_mpa)
{
    static const assb_cell_state zero;
    if (!(soc >= 0 && soc <= 1))
        return ASSB_BAD_SOC;
    if (!(temperature_degc > -KELVIN && temperature_degc < 1000))
        return ASSB_BAD_TEMPERATURE;
    if (!(pressure_mpa >= 0 && isfinite(pressure_mpa)))
        return ASSB_BAD_PRESSURE;
    *s = zero;
    s->soc = soc;
    s->core_degc = temperature_degc;
    s->surface_degc = temperature_degc;
    s->height_um = height_um(p, s);
    assb_stack_reset(&p->stack, &s->stack, s->height_um, pressure_mpa);
    solve_voltage(p, s, 0, 0);
    return ASSB_OK;
}

static int input_status(const assb_cell_input *in, double dt_s)
{
    if (!(dt_s > 0 && isfinite(dt_s)))
        return ASSB_BAD_DT;
    if (!isfinite(in->current_a))
        return ASSB_BAD_CURRENT;
    if (!(in->ambient_degc > -KELVIN && in->ambient_degc < 1000))
        return ASSB_BAD_TEMPERATURE;
    if (!isfinite(in->drive_mpa) || !isfinite(in->gap_rate_um_s))
        return ASSB_BAD_PRESSURE;
    if (!(in->short_s >= 0 && isfinite(in->short_s)))
        return ASSB_BAD_SHORT;
    return ASSB_OK;
}

int assb_cell_step(const assb_cell_params *p, assb_cell_state *s, const assb_cell_input *in, double dt_s)
{
    int status = input_status(in, dt_s);
    if (status != ASSB_OK)
        return status;
    solve_voltage(p, s, in->current_a, in->short_s);
    s->heat_w = s->short_a * s->voltage_v;
    s->heat_w += move_charge(p, s, s->short_a - in->current_a, dt_s);
    move_heat(p, s, in->ambient_degc, dt_s);
    s->height_um = height_um(p, s);
    assb_stack_input stack = {s->height_um, in->drive_mpa, in->gap_rate_um_s};
    assb_stack_step(&p->stack, &s->stack, &stack, dt_s);
    solve_voltage(p, s, in->current_a, in->short_s);
    return ASSB_OK;
}

static void write_results(const assb_cell_results *out, const assb_cell_state *s, long k)
{
    const struct {
        double *column;
        double value;
    } rows[] = {
        {out->voltage_v, s->voltage_v},
        {out->soc, s->soc},
        {out->core_degc, s->core_degc},
        {out->surface_degc, s->surface_degc},
        {out->pressure_mpa, s->stack.pressure_mpa},
        {out->gap_um, s->stack.gap_um},
        {out->r0_ohm, s->r0_ohm},
        {out->ocv_v, s->ocv_v},
        {out->short_a, s->short_a},
        {out->heat_w, s->heat_w},
    };
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++)
        if (rows[row].column != NULL)
            rows[row].column[k] = rows[row].value;
}

long assb_cell_run(const assb_cell_params *p, assb_cell_state *s, const assb_cell_columns *in,
                   const assb_cell_results *out, double dt_s, long n)
{
    for (long k = 0; k < n; k++) {
        assb_cell_input input = {in->current_a[k], in->ambient_degc[k], in->drive_mpa[k], in->gap_rate_um_s[k],
                                 in->short_s[k]};
        if (assb_cell_step(p, s, &input, dt_s) != ASSB_OK)
            return k;
        write_results(out, s, k);
    }
    return n;
}
