/* The filter of assb_estimator.h, in single precision, for many cells of one kind at once. Cells lie in blocks of
 * ASSB_LANES, number by number (structure of arrays), and one instruction works on a whole block. The same operations
 * in the same order, so each cell's numbers are the same bytes as if it had been stepped alone. For the host; boards
 * step their few cells one by one. */
#ifndef ASSB_ESTIMATOR_CELLS_H
#define ASSB_ESTIMATOR_CELLS_H

/* cdef begin */
enum {
    ASSB_LANES = 8,
    ASSB_STATE_NUMBERS = 49 /* members of assb_est_f32_state */
};

typedef struct {
    float number[ASSB_STATE_NUMBERS][ASSB_LANES];
} assb_est_cells_block;

/* Columns of n rows: voltage_v, current_a, temperature_degc and pressure_mpa have a value for each cell in a row, cell
 * by cell, and dt_s has one. An output may be NULL; it has a value for each cell in a row. */
typedef struct {
    const float *voltage_v, *current_a, *temperature_degc, *pressure_mpa, *dt_s;
} assb_est_cells_columns;

typedef struct {
    float *soc, *soc_var, *leak_a, *leak_var, *r0_ohm, *innovation_v, *innovation_var;
    int *status;
} assb_est_cells_results;

/* One cell in and out of its place. */
void assb_est_cells_put(assb_est_cells_block *blocks, long cell, const assb_est_f32_state *state);
void assb_est_cells_get(const assb_est_cells_block *blocks, long cell, assb_est_f32_state *state);
/* Step all cells through n rows; returns how many samples were refused (those cells' states are unchanged by them).
 * `wide` 0: without the widest instructions that this machine has. */
long assb_est_cells_run(const assb_est_f32_params *params, assb_est_cells_block *blocks, long cells,
                        const assb_est_cells_columns *in, const assb_est_cells_results *out, long n, int wide);
/* cdef end */

#endif
