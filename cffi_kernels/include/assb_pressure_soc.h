/* SOC from the height of a stack, for cells that grow with their charge (lithium metal, silicon). Reasons and sources
 * stand at the twin, firmware/assb/estimation/pressure_soc.py.
 *
 * Include it after assb_learning.h, in the same precision.
 */

/* cdef begin */
/* The stack at the learning's last anchor; all zero: none yet. */
typedef struct {
    ASSB_REAL known, pressure_mpa, gap_um;
} ASSB_EST(height);

/* SOC and its variance that a height tells, the anchor of `learning` taken for known. */
void ASSB_EST(height_soc)(const ASSB_EST(learning_params) *learning_params, const ASSB_EST(learning) *learning,
                          const ASSB_EST(height) *height, ASSB_REAL pressure_mpa, ASSB_REAL gap_um, ASSB_REAL *soc,
                          ASSB_REAL *soc_var);
/* After a step of learning: take the reference at a new anchor, else correct SOC where the height knows it better than
 * the filter does. 1 if it did, 0 if not (also where height_sigma_um is 0: off), negative for a bad input. */
int ASSB_EST(height_step)(const ASSB_EST(params) *params, const ASSB_EST(learning_params) *learning_params,
                          ASSB_EST(state) *state, const ASSB_EST(learning) *learning, ASSB_EST(height) *height,
                          ASSB_REAL pressure_mpa, ASSB_REAL gap_um);
/* cdef end */
