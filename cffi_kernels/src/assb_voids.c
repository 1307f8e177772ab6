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

double assb_voids_step(const assb_void_params *p, double theta, double stripping_ma_cm2, double pressed, double dt_s)
{
    double opening_per_s = 0;
    if (stripping_ma_cm2 > 0) {
        double overload = stripping_ma_cm2 / p->strip_ma_cm2 * assb_exp(-p->strip_exponent * pressed) - 1;
        opening_per_s = overload > 0 ? p->rate_per_s * overload : 0;
    }
    if (theta == 0 && opening_per_s == 0)
        return 0;
    double closing_per_s = p->heal_per_s * assb_exp(p->heal_exponent * pressed);
    double share = -assb_expm1(-closing_per_s * dt_s);
    /* where the two balance, approached with the time constant of closing; a slow one may not divide */
    double moved = closing_per_s * dt_s > 1e-12 ? (opening_per_s / closing_per_s - theta) * share
                                                : (opening_per_s - closing_per_s * theta) * dt_s;
    theta += moved;
    if (opening_per_s == 0 && theta < THETA_GONE)
        return 0;
    return theta < THETA_FULL ? theta : THETA_FULL;
}
