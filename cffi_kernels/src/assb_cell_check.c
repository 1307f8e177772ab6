#include "assb_cell.h"

#include <stddef.h>

#define PARAMETER_MOST 1e12
#define RC_FACTOR_MOST 1e6 /* neighbours: a straight line between them must not round to 0 */
#define ACTIVATION_MOST_EV 3.0
#define EXPONENT_MOST 40.0

static int is_within(double x, double most)
{
    return x >= -most && x <= most; /* NaN is not */
}

int assb_cell_input_status(const assb_cell_input *in, double dt_s)
{
    if (!(dt_s >= ASSB_DT_LEAST_S && dt_s <= ASSB_DT_MOST_S))
        return ASSB_BAD_DT;
    if (!is_within(in->current_a, ASSB_CURRENT_MOST_A))
        return ASSB_BAD_CURRENT;
    if (!(in->ambient_degc > -ASSB_KELVIN && in->ambient_degc < ASSB_AMBIENT_MOST_DEGC &&
          is_within(in->heater_w, ASSB_HEATER_MOST_W)))
        return ASSB_BAD_TEMPERATURE;
    if (!(in->pressure_mpa >= 0 && in->pressure_mpa <= ASSB_PRESSURE_MOST_MPA))
        return ASSB_BAD_PRESSURE;
    if (!(in->short_s >= 0 && in->short_s <= ASSB_SHORT_MOST_S))
        return ASSB_BAD_SHORT;
    return ASSB_OK;
}

int assb_cell_start_status(double soc, double temperature_degc, double pressure_mpa)
{
    if (!(soc >= 0 && soc <= 1))
        return ASSB_BAD_SOC;
    if (!(temperature_degc > ASSB_COLDEST_DEGC && temperature_degc < ASSB_AMBIENT_MOST_DEGC))
        return ASSB_BAD_TEMPERATURE;
    if (!(pressure_mpa >= 0 && pressure_mpa <= ASSB_PRESSURE_MOST_MPA))
        return ASSB_BAD_PRESSURE;
    return ASSB_OK;
}

static int all_are(const double *values, size_t count, double least, double most)
{
    for (size_t k = 0; k < count; k++)
        if (!(values[k] >= least && values[k] <= most)) /* NaN is not */
            return 0;
    return 1;
}

#define COUNT(array) (sizeof(array) / sizeof *(array))

int assb_cell_check(const assb_cell_params *p)
{
    const double least = 1 / PARAMETER_MOST;
    const double positive[] = {
        p->capacity_ah,          p->reference_k,       p->layers,       p->layer_area_cm2,
        p->contact_pressure_mpa, p->contact_floor_mpa, p->core_j_per_k, p->surface_j_per_k,
        p->core_surface_w_per_k, p->rc_ohm[0],         p->rc_ohm[1],    p->rc_ohm[2],
        p->rc_tau_s[0],          p->rc_tau_s[1],       p->rc_tau_s[2],  p->se_ohm_cm2 + p->contact_ohm_cm2};
    const double not_below_zero[] = {p->se_ohm_cm2, p->contact_ohm_cm2, p->hysteresis_rate, p->surface_ambient_w_per_k};
    const double activation_ev[] = {p->se_activation_ev, p->contact_activation_ev, p->rc_activation_ev,
                                    p->filament.ccd_activation_ev, p->ageing.calendar_activation_ev};
    const double exponents[] = {p->contact_exponent,           p->voids.strip_exponent,
                                p->voids.heal_exponent,        p->filament.ccd_pressure_exponent,
                                p->filament.creep_exponent[0], p->filament.creep_exponent[1],
                                p->filament.bridge_exponent};
    int is_fine = all_are((const double *)p, sizeof *p / sizeof(double), -PARAMETER_MOST, PARAMETER_MOST) &&
                  all_are(positive, COUNT(positive), least, PARAMETER_MOST) &&
                  all_are(not_below_zero, COUNT(not_below_zero), 0, PARAMETER_MOST) &&
                  all_are(p->rc_factor, ASSB_OCV_POINTS, 1 / RC_FACTOR_MOST, RC_FACTOR_MOST) &&
                  all_are(activation_ev, COUNT(activation_ev), -ACTIVATION_MOST_EV, ACTIVATION_MOST_EV) &&
                  all_are(exponents, COUNT(exponents), -EXPONENT_MOST, EXPONENT_MOST);
    if (!is_fine || assb_voids_check(&p->voids) != ASSB_OK || assb_filament_check(&p->filament) != ASSB_OK)
        return ASSB_BAD_PARAMETER;
    return assb_ageing_check(&p->ageing);
}
