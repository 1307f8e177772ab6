#define ASSB_PRECISION 32
#include "assb_detection.c"
