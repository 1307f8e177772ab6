#define ASSB_PRECISION 32
#include "assb_learning.c"
