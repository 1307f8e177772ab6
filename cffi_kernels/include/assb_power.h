/* State of power: the largest constant current of a cell for the next 2, 10 and 30 s, and what stands in its way.
 * Model, sources and reasons are written at the twin, firmware/assb/estimation/power.py.
 *
 * Generic over precision as assb_estimator.h is, which comes first; it reads that filter's parameters and state.
 */

/* cdef begin */
/* The flat layout's group `power`, which firmware/assb/estimation/flat_layout.py explains. Only reals: no padding. */
typedef struct {
    ASSB_REAL charge_max_a;
    ASSB_REAL discharge_max_a;
    ASSB_REAL soc_min_frac;
    ASSB_REAL soc_max_frac;
    ASSB_REAL soc_margin_sigmas;
    ASSB_REAL window_min_v;
    ASSB_REAL window_max_v;
    ASSB_REAL voltage_margin_sigmas;
    ASSB_REAL charge_zero_degc;
    ASSB_REAL charge_full_degc;
    ASSB_REAL hot_full_degc;
    ASSB_REAL hot_zero_degc;
    ASSB_REAL contact_zero_mpa;
    ASSB_REAL contact_full_mpa;
    ASSB_REAL pressed_full_mpa;
    ASSB_REAL pressed_zero_mpa;
    ASSB_REAL critical_safety_frac;
    ASSB_REAL plating_limit_a[ASSB_R0_POINTS];
    ASSB_REAL stripping_limit_a[ASSB_R0_POINTS];
} ASSB_EST(power_params);

typedef struct {
    ASSB_REAL temperature_degc, pressure_mpa;
    int pressure_known; /* 0: pressure_mpa is not looked at, and the lower end of the window is taken */
    int charging;       /* which of both directions */
} ASSB_EST(power_ask);

/* By horizon: 2, 10, 30 s. */
typedef struct {
    ASSB_REAL current_a[ASSB_HORIZONS]; /* magnitude */
    ASSB_REAL power_w[ASSB_HORIZONS];   /* at that current and voltage_v */
    ASSB_REAL voltage_v[ASSB_HORIZONS]; /* the farthest that the model goes with that current */
    int bound[ASSB_HORIZONS];           /* enum assb_power_bound */
} ASSB_EST(power_limit);

/* ASSB_BAD_PARAMETER unless every number is finite and both ends of each range are in order. */
int ASSB_EST(power_check)(const ASSB_EST(power_params) *params);
/* Limits in one direction. An input that is not finite or implausible returns its status and leaves `limit` as it is;
 * for a state that is none (not finite, SOC outside 0..1) ASSB_BAD_PARAMETER. */
int ASSB_EST(power_limits)(const ASSB_EST(params) *cell, const ASSB_EST(power_params) *params,
                           const ASSB_EST(state) *state, const ASSB_EST(power_ask) *ask, ASSB_EST(power_limit) *limit);
/* cdef end */
