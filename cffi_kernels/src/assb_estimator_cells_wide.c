/* Eight cells to an instruction, where there is AVX2. */
#define ASSB_PRECISION 32
#include "assb_estimator.h"
#include "assb_estimator_cells.h"

#include <stddef.h>
#include <string.h>

#include "assb_estimator_cells_run.h"

#ifdef __x86_64__
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC target("avx2")
#endif
#define WIDTH 8
#define RUN assb_est_cells_wide
#include "assb_estimator_lanes.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
#else
typedef char not_on_this_machine;
#endif
