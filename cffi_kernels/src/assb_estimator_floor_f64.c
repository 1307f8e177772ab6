#define ASSB_PRECISION 64
#include "assb_estimator_floor.c"
