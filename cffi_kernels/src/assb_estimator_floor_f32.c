#define ASSB_PRECISION 32
#include "assb_estimator_floor.c"
