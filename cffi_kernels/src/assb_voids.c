#include "assb_voids.h"

#include "assb_math.h"

#define THETA_FULL (1 - 0x1p-20) /* a face is never lost for good: theta < 1 */
#define THETA_GONE 1e-9          /* healing leaves nothing */

int assb_voids_check(const assb_void_params *p)
{
    if (!(p->theta_max >= 0 && p->theta_max < 1 && p->rate_per_s >= 0 && p->heal_per_s >= 0))
        return ASSB_BAD_PARAMETER;
    int is_off = p->rate_per_s == 0;
    return is_off || (p->strip_ma_cm2 > 0 && p->strip_pressure_mpa > 0) ? ASSB_OK : ASSB_BAD_PARAMETER;
}

void assb_voids_rates(const assb_void_params *p, assb_void_rates *rates, double pressed)
{
    rates->per_strip_cm2_ma = assb_exp_near(&rates->strip, -p->strip_exponent * pressed) / p->strip_ma_cm2;
    rates->heal_per_s = p->heal_per_s * assb_exp_near(&rates->heal, p->heal_exponent * pressed);
}

double assb_voids_step(const assb_void_params *p, const assb_void_rates *rates, double theta, double stripping_ma_cm2,
                       double dt_s)
{
    double overload = stripping_ma_cm2 * rates->per_strip_cm2_ma - 1;
    double opening_per_s = p->rate_per_s * (overload > 0 ? overload : 0);
    double closing_per_s = rates->heal_per_s;
    if (theta == 0 && opening_per_s == 0)
        return 0;
    theta += (opening_per_s - closing_per_s * theta) * dt_s * assb_mean_decay(closing_per_s * dt_s);
    if (theta < (opening_per_s == 0 ? THETA_GONE : 0)) /* rounding may leave less than nothing */
        return 0;
    return theta < THETA_FULL ? theta : THETA_FULL;
}
