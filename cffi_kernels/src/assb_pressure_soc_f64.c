#define ASSB_PRECISION 64
#include "assb_pressure_soc.c"
