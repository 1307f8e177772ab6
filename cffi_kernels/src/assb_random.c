#include "assb_random.h"

#include <math.h>

#include "assb_math.h"

static uint64_t mixed(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t turned_left(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

void assb_random_seed(assb_random *r, uint64_t seed, uint64_t stream)
{
    const uint64_t golden = UINT64_C(0x9e3779b97f4a7c15);
    uint64_t state = mixed(seed + golden) ^ mixed(stream * UINT64_C(0xd1342543de82ef95) + UINT64_C(0x632be59bd9b4e019));
    for (int k = 0; k < 4; k++) /* four different arguments of a bijection: never all 0, which would stay 0 */
        r->word[k] = mixed(state += golden);
}

static uint64_t next(assb_random *r)
{
    uint64_t *w = r->word;
    uint64_t result = turned_left(w[1] * 5, 7) * 9;
    uint64_t shifted = w[1] << 17;
    w[2] ^= w[0];
    w[3] ^= w[1];
    w[1] ^= w[2];
    w[0] ^= w[3];
    w[2] ^= shifted;
    w[3] = turned_left(w[3], 45);
    return result;
}

double assb_random_uniform(assb_random *r)
{
    return (double)(next(r) >> 11) * 0x1p-53;
}

/* Marsaglia's polar method: no sine. */
double assb_random_normal(assb_random *r)
{
    double x, square;
    do {
        x = 2 * assb_random_uniform(r) - 1;
        double y = 2 * assb_random_uniform(r) - 1;
        square = x * x + y * y;
    } while (square >= 1 || square == 0);
    return x * sqrt(-2 * assb_log(square) / square);
}

double assb_random_exponential(assb_random *r)
{
    return -assb_log(1 - assb_random_uniform(r));
}
