#define ASSB_PRECISION 32
#include "assb_pressure_soc.c"
