#define ASSB_PRECISION 64
#include "assb_detection.c"
