#define ASSB_PRECISION 64
#include "assb_estimator.c"
#include "assb_power.c"
