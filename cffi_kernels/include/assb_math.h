/* exp, log, pow and expm1 of our own, in plain IEEE double arithmetic: a libm's last bits differ between machines and
 * versions, and the same seed must give the same bytes everywhere. Inlined, without branches on the usual path.
 *
 * Relative errors below 4e-16 for exp, log and expm1, and below 1e-15 for pow while |y ln x| < 10 (tests/test_math.py).
 * sqrt is left to the C library: IEEE 754 demands its correctly rounded result.
 */
#ifndef ASSB_MATH_H
#define ASSB_MATH_H
#include <stdint.h>
#include <string.h>

#include "assb_common.h"

/* Hints: the first takes all that it calls into itself, the second stays out of it. */
#ifdef __GNUC__
#define ASSB_HOT __attribute__((flatten))
#define ASSB_COLD __attribute__((noinline, cold))
#else
#define ASSB_HOT
#define ASSB_COLD
#endif

#define ASSB_EXP_MOST 200.0 /* arguments are held within +-this: products of results stay finite */
#define ASSB_EXP_STEPS 32

/* 2^(k/32) */
static const double ASSB_EXP2[ASSB_EXP_STEPS] = {
    0x1.0000000000000p+0, 0x1.059b0d3158574p+0, 0x1.0b5586cf9890fp+0, 0x1.11301d0125b51p+0, 0x1.172b83c7d517bp+0,
    0x1.1d4873168b9aap+0, 0x1.2387a6e756238p+0, 0x1.29e9df51fdee1p+0, 0x1.306fe0a31b715p+0, 0x1.371a7373aa9cbp+0,
    0x1.3dea64c123422p+0, 0x1.44e086061892dp+0, 0x1.4bfdad5362a27p+0, 0x1.5342b569d4f82p+0, 0x1.5ab07dd485429p+0,
    0x1.6247eb03a5585p+0, 0x1.6a09e667f3bcdp+0, 0x1.71f75e8ec5f74p+0, 0x1.7a11473eb0187p+0, 0x1.82589994cce13p+0,
    0x1.8ace5422aa0dbp+0, 0x1.93737b0cdc5e5p+0, 0x1.9c49182a3f090p+0, 0x1.a5503b23e255dp+0, 0x1.ae89f995ad3adp+0,
    0x1.b7f76f2fb5e47p+0, 0x1.c199bdd85529cp+0, 0x1.cb720dcef9069p+0, 0x1.d5818dcfba487p+0, 0x1.dfc97337b9b5fp+0,
    0x1.ea4afa2a490dap+0, 0x1.f50765b6e4540p+0};

static inline uint64_t assb_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline double assb_from_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline int assb_finite(double x)
{
    return x - x == 0;
}

static inline double assb_clamp(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

/* e^x = scale + scale * part: x = k ln2/32 + rest, |rest| <= ln2/64, part = e^rest - 1 by its series. */
static inline double assb_exp_parts(double x, double *part)
{
    const double nearest = 0x1.8p52; /* adding it rounds to an integer, which then stands in the low bits */
    double held = x;
    if (!(x > -ASSB_EXP_MOST && x < ASSB_EXP_MOST)) /* NaN too: it must not become an index */
        held = x > 0 ? ASSB_EXP_MOST : -ASSB_EXP_MOST;
    double shifted = held * 0x1.71547652b82fep+5 + nearest;
    uint64_t k = assb_bits(shifted);
    double count = shifted - nearest;
    double r = held - count * 0x1.62e42f8p-6 - count * 0x1.be8e7bcd5e4f2p-32;
    double rr = r * r;
    *part = r + rr * ((0.5 + r * (1.0 / 6)) + rr * ((1.0 / 24 + r * (1.0 / 120)) + rr * (1.0 / 720)));
    /* the exponent of 2 joins the table's: both are in range, so this is an integer addition of bits */
    uint64_t octave = (k << 47) & UINT64_C(0xfff0000000000000);
    return assb_from_bits(assb_bits(ASSB_EXP2[k % ASSB_EXP_STEPS]) + octave);
}

static inline double assb_exp(double x)
{
    double part;
    double scale = assb_exp_parts(x, &part);
    return scale + scale * part;
}

/* e^x - 1 without loss near 0, where steps of charge and of time live. */
static inline double assb_expm1(double x)
{
    double xx = x * x;
    if (xx < 2e-4 * 2e-4) /* most steps are that short */
        return x + xx * (0.5 + x * (1.0 / 6 + x * (1.0 / 24)));
    if (xx < 0.02 * 0.02)
        return x +
               xx * ((0.5 + x * (1.0 / 6)) + xx * ((1.0 / 24 + x * (1.0 / 120)) + xx * (1.0 / 720 + x * (1.0 / 5040))));
    if (xx < 0.3 * 0.3) {
        double late = (1.0 / 479001600 + x * (1.0 / 6227020800)) + xx * (1.0 / 87178291200);
        double middle = (1.0 / 40320 + x * (1.0 / 362880)) + xx * (1.0 / 3628800 + x * (1.0 / 39916800));
        double early = (1.0 / 24 + x * (1.0 / 120)) + xx * (1.0 / 720 + x * (1.0 / 5040));
        double xxxx = xx * xx;
        return x + xx * ((0.5 + x * (1.0 / 6)) + xx * (early + xxxx * (middle + xxxx * late)));
    }
    double part;
    double scale = assb_exp_parts(x, &part);
    return (scale - 1) + scale * part;
}

/* (1 - e^-x)/x, the mean of e^-t over 0..x; x >= 0. */
static inline double assb_mean_decay(double x)
{
    double xx = x * x;
    if (x < 2e-4)
        return 1 - x * (0.5 - x * (1.0 / 6 - x * (1.0 / 24)));
    if (x < 0.02)
        return (1 - x * (1.0 / 2)) +
               xx * ((1.0 / 6 - x * (1.0 / 24)) + xx * ((1.0 / 120 - x * (1.0 / 720)) + xx * (1.0 / 5040)));
    return -assb_expm1(-x) / x;
}

/* Natural logarithm of a positive, normal number; -200 for what is not. After fdlibm's e_log.c (Sun, 1993):
 * log(1 + f) = f - s (f - R), s = f/(2 + f), R a polynomial in s^2. */
static inline double assb_log(double x)
{
    if (!(x >= 0x1p-1022 && x < 0x1p1023))
        return -ASSB_EXP_MOST;
    uint64_t bits = assb_bits(x);
    uint64_t above = bits - UINT64_C(0x3fe6a09e667f3bcd); /* sqrt(1/2) */
    int64_t octave = (int64_t)above >> 52;
    double f = assb_from_bits(bits - ((uint64_t)octave << 52)) - 1;
    double half = 0.5 * f * f;
    double s = f / (2 + f);
    double z = s * s;
    double w = z * z;
    double odd = w * (0x1.999999997fa04p-2 + w * (0x1.c71c51d8e78afp-3 + w * 0x1.39a09d078c69fp-3));
    double even =
        z * (0x1.5555555555593p-1 + w * (0x1.2492494229359p-2 + w * (0x1.7466496cb03dep-3 + w * 0x1.2f112df3e5244p-3)));
    double k = (double)octave;
    return k * 0x1.62e42feep-1 - ((half - (s * (half + odd + even) + k * 0x1.a39ef35793c76p-33)) - f);
}

/* x^y for x > 0. */
static inline double assb_pow(double x, double y)
{
    return assb_exp(y * assb_log(x));
}

/* The same two for an argument that moves slowly from call to call: near the last full evaluation (within 1/32, and
 * 1/128 of itself for the logarithm) by their series, whose remainder is below 1e-16. A third of the instructions, and
 * nothing waits for a division. */

static inline double assb_exp_near(assb_near *near, double x)
{
    double d = x - near->at;
    double dd = d * d;
    if (!(dd < 1.0 / 1024 && near->value > 0)) {
        near->at = x;
        near->value = assb_exp(x);
        return near->value;
    }
    double part =
        d + dd * ((0.5 + d * (1.0 / 6)) + dd * ((1.0 / 24 + d * (1.0 / 120)) + dd * (1.0 / 720 + d * (1.0 / 5040))));
    return near->value + near->value * part;
}

/* Here `at` is 1/x of the last full evaluation. */
static inline double assb_log_near(assb_near *near, double x)
{
    double d = x * near->at - 1;
    double dd = d * d;
    if (!(dd < 1.0 / 16384)) {
        near->at = 1 / x;
        near->value = assb_log(x);
        return near->value;
    }
    double odd = dd * (d * ((1.0 / 3) + dd * (1.0 / 5 + dd * (1.0 / 7))));
    double even = dd * (0.5 + dd * (1.0 / 4 + dd * (1.0 / 6)));
    return near->value + (d + (odd - even));
}

#endif
