/* Many cells, block by block; how a block is stepped is in assb_estimator_lanes.h. */
#define ASSB_PRECISION 32
#include "assb_estimator.h"
#include "assb_estimator_cells.h"

#include <stddef.h>

#include "assb_estimator_cells_run.h"

#ifdef __x86_64__
static int is_wide(void)
{
    return __builtin_cpu_supports("avx2") != 0;
}
#else
#define assb_est_cells_wide assb_est_cells_narrow
#define is_wide() 0
#endif

long assb_est_cells_run(const assb_est_f32_params *p, assb_est_cells_block *blocks, long cells,
                        const assb_est_cells_columns *in, const assb_est_cells_results *out, long n, int wide)
{
    int use_wide = wide && is_wide();
    long lanes = use_wide ? ASSB_LANES : ASSB_NARROW_LANES, refused = 0;
    for (long first = 0; first < cells; first += lanes) {
        assb_est_cells_block *block = blocks + first / ASSB_LANES;
        long lane = first % ASSB_LANES;
        refused += use_wide ? assb_est_cells_wide(p, block, lane, cells, first, in, out, n)
                            : assb_est_cells_narrow(p, block, lane, cells, first, in, out, n);
    }
    return refused;
}

void assb_est_cells_put(assb_est_cells_block *blocks, long cell, const assb_est_f32_state *state)
{
    const float *numbers = (const float *)state;
    for (int k = 0; k < ASSB_STATE_NUMBERS; k++)
        blocks[cell / ASSB_LANES].number[k][cell % ASSB_LANES] = numbers[k];
}

void assb_est_cells_get(const assb_est_cells_block *blocks, long cell, assb_est_f32_state *state)
{
    float *numbers = (float *)state;
    for (int k = 0; k < ASSB_STATE_NUMBERS; k++)
        numbers[k] = blocks[cell / ASSB_LANES].number[k][cell % ASSB_LANES];
}
