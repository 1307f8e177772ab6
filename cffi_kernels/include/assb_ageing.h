/* Loss of capacity and growth of resistance, with time (Arrhenius, SOC) and with charge passed. */
#ifndef ASSB_AGEING_H
#define ASSB_AGEING_H
#include "assb_common.h"

/* cdef begin */
typedef struct {
    double calendar_frac_per_rt_day; /* loss = this * sqrt(days) at the cell's reference_k and SOC 0.5 */
    double calendar_activation_ev;
    double calendar_soc_slope;      /* times 1 + slope (SOC - 0.5), not below 0 */
    double cycle_frac_per_rt_cycle; /* loss = this * (equivalent full cycles)^cycle_exponent */
    double cycle_exponent;          /* 0.5: square root, 1: linear */
    double resistance_per_loss;     /* (R/Rfresh - 1) per unit of capacity lost */
} assb_ageing_params;

typedef struct {
    double calendar_days;          /* weighted by temperature and SOC: days at reference_k and SOC 0.5 */
    double throughput_ah;          /* both directions, shorts included */
    double capacity_loss_frac;     /* 0..ASSB_LOSS_MAX */
    double resistance_growth_frac; /* of R0 and the RC pairs */
    double waiting_s;              /* not yet counted: ageing moves on a slow clock */
} assb_ageing_state;
/* cdef end */

#define ASSB_LOSS_MAX 0.95
#define ASSB_AGEING_CLOCK_S 60.0 /* loss moves by less than 1e-6 of itself a minute in a cell a year old */

int assb_ageing_is_on(const assb_ageing_params *params);
int assb_ageing_check(const assb_ageing_params *params);
/* Counts what has waited: cold_per_ev = (1/T - 1/Tref)/kB, capacity_ah the fresh one. */
void assb_ageing_move(const assb_ageing_params *params, assb_ageing_state *state, double soc, double cold_per_ev,
                      double capacity_ah);

#endif
