/* What one cell's estimator learns over days: a scale of its resistances, its capacity, and how far both are known.
 * Equations, sources and reasons are written at the twin, firmware/assb/estimation/learning.py.
 *
 * Include it after assb_estimator.h, in the same precision. No globals, no allocation, no libm.
 */

/* cdef begin */
/* The group `learning` of firmware/assb/estimation/parameters.py, explained in flat_layout.py. _c: A per nominal Ah. */
typedef struct {
    ASSB_REAL step_min_c;
    ASSB_REAL step_dt_max_s;
    ASSB_REAL resistance_prior_sigma_frac;
    ASSB_REAL resistance_drift_frac_per_rt_cycle;
    ASSB_REAL resistance_floor_frac;
    ASSB_REAL resistance_step_max_frac;
    ASSB_REAL resistance_scale_min;
    ASSB_REAL resistance_scale_max;
    ASSB_REAL rest_current_c;
    ASSB_REAL rest_min_s;
    ASSB_REAL rest_full_s;
    ASSB_REAL ocv_sigma_v;
    ASSB_REAL anchor_sigma_max_frac;
    ASSB_REAL pair_min_frac;
    ASSB_REAL current_gain_sigma_frac;
    ASSB_REAL current_offset_sigma_c;
    ASSB_REAL efficiency_sigma_frac;
    ASSB_REAL capacity_prior_sigma_frac;
    ASSB_REAL capacity_drift_frac_per_rt_cycle;
    ASSB_REAL capacity_scale_min;
    ASSB_REAL capacity_scale_max;
    ASSB_REAL height_sigma_um;
    ASSB_REAL stack_stiffness_mpa_per_um;
    ASSB_REAL swelling_um;
    ASSB_REAL swelling_sigma_frac;
    ASSB_REAL height_hysteresis_um;
    ASSB_REAL height_creep_um_per_rt_h;
} ASSB_EST(learning_params);

/* Only reals, in the order of the twin's list. Charge and capacity are fractions of the nominal capacity. */
typedef struct {
    /* The first ASSB_LEARNED are what outlives a power cycle. */
    ASSB_REAL resistance_scale, resistance_var, resistance_steps;
    ASSB_REAL capacity_scale;
    ASSB_REAL c1, c2, c3, c4, c5, c6; /* fading sums of x x/sy, x y/sy, y y/sy, x x/sx, x y/sx, y y/sx */
    ASSB_REAL information, best_information;
    ASSB_REAL capacity_pairs;
    ASSB_REAL cycles; /* full ones since the last pair */
    /* of the samples since the last step of current */
    ASSB_REAL residuals, residual_v, previous_a, previous_r0_ohm;
    ASSB_REAL home_r0_ohm; /* of the table, where the steps were: a fading mean */
    /* this rest, and the last anchor with what was counted since */
    ASSB_REAL rest_s, rest_v, rest_mark_s, rest_mark_v, rest_mid_v, rest_done;
    ASSB_REAL anchor_known, anchor_soc, anchor_var;
    ASSB_REAL charge, charge_residual, charged, elapsed_h;
    ASSB_REAL clock_s, clock_moved, clock_charged; /* not yet in the sums above */
    /* of the SOC's uncertainty */
    ASSB_REAL soc_sensitivity, soc_granted_var, soc_var, soc_leak_cov, leak_var, count_var, ocv_soc_sigma, soc_bias;
    ASSB_REAL resistance_missing, capacity_missing; /* enum assb_missing */
} ASSB_EST(learning);

/* Columns of n values; NULL: not wanted. Sigmas are 1-sigma. */
typedef struct {
    ASSB_REAL *soc, *soc_var, *soc_sigma, *r0_ohm, *resistance_scale, *resistance_sigma, *capacity_scale,
        *capacity_sigma, *leak_a;
    int *status;
} ASSB_EST(learning_results);

/* ASSB_BAD_PARAMETER unless every number is finite, what must be positive is, and bounds hold 1 between them. */
int ASSB_EST(learning_check)(const ASSB_EST(learning_params) *params);
/* A new cell of nominal capacity and resistance, within the prior's sigmas. */
void ASSB_EST(learning_reset)(const ASSB_EST(learning_params) *params, ASSB_EST(learning) *learning);
/* Take up `learned`, ASSB_LEARNED values; the sample before, rest and anchor are forgotten. ASSB_BAD_PARAMETER for
 * values that learning can't have left; nothing has changed then. */
int ASSB_EST(learning_restore)(const ASSB_EST(learning_params) *params, ASSB_EST(learning) *learning,
                               const ASSB_REAL *learned);
/* Charge flowed that was not counted: no pair with the anchor before, no step from the sample before. */
void ASSB_EST(learning_lose)(ASSB_EST(learning) *learning);
/* Learn from a sample that the estimator has just taken; the scales are put into its state. */
void ASSB_EST(learning_update)(const ASSB_EST(params) *params, const ASSB_EST(learning_params) *learning_params,
                               ASSB_EST(state) *state, ASSB_EST(learning) *learning, const ASSB_EST(sample) *sample);
/* 1-sigma of resistance_scale as a measure of R0, of the resistance against new, of capacity_scale, and of SOC. */
ASSB_REAL ASSB_EST(resistance_sigma)(const ASSB_EST(learning_params) *params, const ASSB_EST(learning) *learning);
ASSB_REAL ASSB_EST(soh_resistance_sigma)(const ASSB_EST(params) *params,
                                         const ASSB_EST(learning_params) *learning_params,
                                         const ASSB_EST(learning) *learning);
ASSB_REAL ASSB_EST(capacity_sigma)(const ASSB_EST(learning_params) *params, const ASSB_EST(learning) *learning);
ASSB_REAL ASSB_EST(soc_sigma)(const ASSB_EST(state) *state, const ASSB_EST(learning) *learning);
/* By Newton's method, without libm; 0 for what is not positive. */
ASSB_REAL ASSB_EST(square_root)(ASSB_REAL x);
/* Step and learn through n samples; of a refused one the status is in results. */
void ASSB_EST(learning_run)(const ASSB_EST(params) *params, const ASSB_EST(learning_params) *learning_params,
                            ASSB_EST(state) *state, ASSB_EST(learning) *learning, const ASSB_EST(columns) *in,
                            const ASSB_EST(learning_results) *out, long n);
/* cdef end */
