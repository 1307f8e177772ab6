/* The floor that the estimator's speed is measured against: a bare extended Kalman filter of the same five states and
 * the same covariance (Joseph form, with the resistance error considered), written by hand for one cell. Its tables and
 * noises are constants of the run, its time step is fixed, and it checks nothing: no status, no gate, no adaptation, no
 * compensated sum, no bounds, no ageing. It is for the benchmark alone; no board has it.
 * Include it after assb_estimator.h, once or for each precision in turn. */

/* cdef begin */
/* n samples of dt_s each from `state`; writes soc and its variance. Axes of R0 are even: the cell is a multiplication.
 */
void ASSB_EST(floor_run)(const ASSB_EST(params) *params, ASSB_EST(state) *state, const ASSB_EST(columns) *in,
                         ASSB_REAL *soc, ASSB_REAL *soc_var, long n);
/* The arguments of `feed`, and nothing done with them: what a call alone costs. */
int ASSB_EST(nothing)(const ASSB_EST(params) *params, ASSB_EST(state) *state, ASSB_REAL voltage_v, ASSB_REAL current_a,
                      ASSB_REAL temperature_degc, ASSB_REAL pressure_mpa, ASSB_REAL dt_s);
/* cdef end */
