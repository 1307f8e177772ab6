#include "assb_ageing.h"

#include <math.h>

#include "assb_math.h"

#define SECONDS_PER_DAY 86400.0

int assb_ageing_is_on(const assb_ageing_params *p)
{
    return p->calendar_frac_per_rt_day > 0 || p->cycle_frac_per_rt_cycle > 0;
}

int assb_ageing_check(const assb_ageing_params *p)
{
    int is_fine = p->calendar_frac_per_rt_day >= 0 && p->cycle_frac_per_rt_cycle >= 0 && p->resistance_per_loss >= 0 &&
                  (p->cycle_frac_per_rt_cycle == 0 || p->cycle_exponent > 0);
    return is_fine ? ASSB_OK : ASSB_BAD_PARAMETER;
}

/* Days are weighted by the square of the rate, so that loss = rate sqrt(days) also where the rate has moved. */
ASSB_COLD void assb_ageing_move(const assb_ageing_params *p, assb_ageing_state *s, double soc, double cold_per_ev,
                                double capacity_ah)
{
    double leaning = 1 + p->calendar_soc_slope * (soc - 0.5);
    double rate = (leaning > 0 ? leaning : 0) * assb_exp(-p->calendar_activation_ev * cold_per_ev);
    s->calendar_days += rate * rate * s->waiting_s / SECONDS_PER_DAY;
    s->waiting_s = 0;
    double full_cycles = s->throughput_ah / (2 * capacity_ah);
    double loss = p->calendar_frac_per_rt_day * sqrt(s->calendar_days);
    if (full_cycles > 0 && p->cycle_frac_per_rt_cycle > 0)
        loss += p->cycle_frac_per_rt_cycle * assb_pow(full_cycles, p->cycle_exponent);
    s->capacity_loss_frac = loss < ASSB_LOSS_MAX ? loss : ASSB_LOSS_MAX;
    s->resistance_growth_frac = p->resistance_per_loss * s->capacity_loss_frac;
}
