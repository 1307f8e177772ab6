/* All that a step of the plant calls in one translation unit, so that the compiler sees through it. */
#include "assb_voids.c"
#include "assb_filament.c"
#include "assb_ageing.c"
#include "assb_cell.c"
#include "assb_stack.c"
#include "assb_actuator.c"
#include "assb_pack.c"
