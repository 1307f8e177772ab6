/* Extended Kalman filter of one cell: SOC, two RC voltages, hysteresis and leak current from voltage, current,
 * temperature and stack pressure. Equations and their order are those of firmware/assb/estimation/ekf.py.
 *
 * Include it with ASSB_PRECISION 32 or 64 defined, once or for both in turn: every name carries the precision.
 * Positive current charges; leak_a > 0 is charge lost inside the cell (an internal short).
 * No globals, no allocation, no libm: it runs unchanged on a board. Build with -ffp-contract=off, or the results
 * are no longer the same bytes everywhere.
 */
#include "assb_common.h"

#undef ASSB_REAL
#undef ASSB_NUM
#undef ASSB_EST
#if ASSB_PRECISION == 32
#define ASSB_REAL float
#define ASSB_EST(name) assb_est_f32_##name
#elif ASSB_PRECISION == 64
#define ASSB_REAL double
#define ASSB_EST(name) assb_est_f64_##name
#else
#error "define ASSB_PRECISION as 32 or 64"
#endif

#define ASSB_NUM ASSB_REAL
#include "assb_estimator_state.h"

/* cdef begin */
/* The flat layout of firmware/assb/estimation/parameters.py, which explains each row. Only reals: no padding. */
typedef struct {
    ASSB_REAL capacity_ah;
    ASSB_REAL coulombic_efficiency_frac;
    ASSB_REAL ocv_v[ASSB_OCV_POINTS];
    ASSB_REAL docv_v[ASSB_OCV_POINTS];
    ASSB_REAL ocv_temperature_degc;
    ASSB_REAL entropy_v_per_k;
    ASSB_REAL r0_temperature_degc[ASSB_TEMPERATURE_POINTS];
    ASSB_REAL r0_pressure_mpa[ASSB_PRESSURE_POINTS];
    ASSB_REAL r0_ohm[ASSB_R0_POINTS];
    ASSB_REAL r1_ohm[ASSB_TEMPERATURE_POINTS];
    ASSB_REAL r2_ohm[ASSB_TEMPERATURE_POINTS];
    ASSB_REAL tau1_s;
    ASSB_REAL tau2_s;
    ASSB_REAL hysteresis_v;
    ASSB_REAL hysteresis_rate;
    ASSB_REAL voltage_sigma_v;
    ASSB_REAL overvoltage_sigma_frac;
    ASSB_REAL rc_sigma_v;
    ASSB_REAL hysteresis_sigma_frac;
    ASSB_REAL soc_noise_frac_per_rts;
    ASSB_REAL leak_sigma_a;
    ASSB_REAL leak_tau_s;
    ASSB_REAL gate_sigmas;
    ASSB_REAL adapt_tau_s;
    ASSB_REAL adapt_max;
    ASSB_REAL voltage_min_v;
    ASSB_REAL voltage_max_v;
    ASSB_REAL current_max_a;
    ASSB_REAL temperature_min_degc;
    ASSB_REAL temperature_max_degc;
    ASSB_REAL pressure_max_mpa;
    ASSB_REAL dt_max_s;
    ASSB_REAL rc_factor[ASSB_OCV_POINTS];
} ASSB_EST(params);

/* Columns of n values. Inputs all given; an output may be NULL. */
typedef struct {
    const ASSB_REAL *voltage_v, *current_a, *temperature_degc, *pressure_mpa, *dt_s;
} ASSB_EST(columns);

typedef struct {
    ASSB_REAL *soc, *soc_var, *v1_v, *v2_v, *hysteresis, *leak_a, *leak_var, *r0_ohm, *innovation_v, *innovation_var;
    int *status;
} ASSB_EST(results);

/* ASSB_BAD_PARAMETER unless every number is finite, axes rise, and what must be positive is. */
int ASSB_EST(check)(const ASSB_EST(params) *params);
/* At rest, without leak; the hysteresis state unknown. ASSB_BAD_SOC outside 0..1 or for a sigma not in (0, 1]. */
int ASSB_EST(reset)(const ASSB_EST(params) *params, ASSB_EST(state) *state, ASSB_REAL soc, ASSB_REAL soc_sigma);
/* SOC at which the rested cell shows this voltage; the OCV table must rise. */
ASSB_REAL ASSB_EST(rested_soc)(const ASSB_EST(params) *params, ASSB_REAL voltage_v, ASSB_REAL temperature_degc);
/* Count charge over dt_s without looking at the voltage (a lost voltage sensor): the covariance grows. */
int ASSB_EST(predict)(const ASSB_EST(params) *params, ASSB_EST(state) *state, const ASSB_EST(sample) *sample);
/* Predict over dt_s with current_a held, then correct with voltage_v, measured at the end of dt_s. */
int ASSB_EST(step)(const ASSB_EST(params) *params, ASSB_EST(state) *state, const ASSB_EST(sample) *sample);
/* The same from numbers. */
int ASSB_EST(feed)(const ASSB_EST(params) *params, ASSB_EST(state) *state, ASSB_REAL voltage_v, ASSB_REAL current_a,
                   ASSB_REAL temperature_degc, ASSB_REAL pressure_mpa, ASSB_REAL dt_s);
/* Forget what is kept from step to step to save time: for a state that comes from elsewhere, or another capacity_scale.
 */
void ASSB_EST(forget)(ASSB_EST(state) *state);
/* Correct with a SOC that something else than the voltage tells, its error independent of the states'. ASSB_BAD_SOC
 * outside 0..1 or for a sigma not in (0, 1]. */
int ASSB_EST(observe_soc)(const ASSB_EST(params) *params, ASSB_EST(state) *state, ASSB_REAL soc, ASSB_REAL soc_sigma);
/* Step through n samples; of a refused one the status is in results, and the state stays. */
void ASSB_EST(run)(const ASSB_EST(params) *params, ASSB_EST(state) *state, const ASSB_EST(columns) *in,
                   const ASSB_EST(results) *out, long n);
/* cdef end */
