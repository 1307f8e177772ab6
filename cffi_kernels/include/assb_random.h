/* Random numbers whose state belongs to the caller: xoshiro256** seeded by SplitMix64 (Blackman, Vigna 2021,
 * doi:10.1145/3460772). The same seed gives the same bytes on every machine: no libm (assb_math.h). */
#ifndef ASSB_RANDOM_H
#define ASSB_RANDOM_H
#include <stdint.h>

/* cdef begin */
typedef struct {
    uint64_t word[4];
} assb_random;

/* Streams of one seed are independent of each other. */
void assb_random_seed(assb_random *random, uint64_t seed, uint64_t stream);
double assb_random_uniform(assb_random *random);     /* [0, 1) */
double assb_random_normal(assb_random *random);      /* mean 0, sigma 1 */
double assb_random_exponential(assb_random *random); /* mean 1 */
/* cdef end */

#endif
