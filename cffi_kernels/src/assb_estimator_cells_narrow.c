/* Four cells to an instruction: what every x86-64 and every ARM with vectors has. */
#define ASSB_PRECISION 32
#include "assb_estimator.h"
#include "assb_estimator_cells.h"

#include <stddef.h>
#include <string.h>

#include "assb_estimator_cells_run.h"

#define WIDTH 4
#define RUN assb_est_cells_narrow
#include "assb_estimator_lanes.h"
