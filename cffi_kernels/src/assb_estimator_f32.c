#define ASSB_PRECISION 32
#include "assb_estimator.c"
#include "assb_power.c"
