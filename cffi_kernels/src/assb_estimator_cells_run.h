/* The two ways to run a block of cells, and what both are compiled with. Include it after assb_estimator_cells.h. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi" /* vectors as arguments: all of these functions go into their callers */
#define SHUFFLED(a, b, ...) __builtin_shuffle(a, b, (index_t){__VA_ARGS__})
#else
#define SHUFFLED(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#endif
#define INLINE inline __attribute__((always_inline))

enum { ASSB_NARROW_LANES = 4 };

/* Cells `first` and on, four or eight, through n rows; their numbers in the block from `lane` on. Returns how many
 * samples were refused. */
long assb_est_cells_narrow(const assb_est_f32_params *params, assb_est_cells_block *block, long lane, long cells,
                           long first, const assb_est_cells_columns *in, const assb_est_cells_results *out, long n);
/* Needs AVX2; elsewhere than on x86-64 it is the narrow one. */
long assb_est_cells_wide(const assb_est_f32_params *params, assb_est_cells_block *block, long lane, long cells,
                         long first, const assb_est_cells_columns *in, const assb_est_cells_results *out, long n);
