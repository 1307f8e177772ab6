/* assb_estimator_core.h with a number for each of ASSB_LANES cells; see assb_estimator_cells.h. The compiler's vector
 * types (GCC, Clang) become whatever the machine has. */
#define ASSB_PRECISION 32
#include "assb_estimator.h"
#include "assb_estimator_cells.h"

#include <stddef.h>
#include <string.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi" /* vectors as arguments: all of these functions go into their callers */
#endif
#define INLINE inline __attribute__((always_inline))
#define BLOCK_BYTES (4 * ASSB_LANES)

typedef float real;
typedef float num __attribute__((vector_size(BLOCK_BYTES), aligned(4), may_alias));
typedef int32_t index_t __attribute__((vector_size(BLOCK_BYTES), aligned(4), may_alias));
typedef int64_t halves __attribute__((vector_size(BLOCK_BYTES), aligned(4), may_alias));
typedef index_t mask;
typedef assb_est_f32_params params_t;

/* State and sample again, with vectors for numbers */
#undef ASSB_NUM
#undef ASSB_EST
#define ASSB_NUM num
#define ASSB_EST(name) assb_est_cells_##name
#include "assb_estimator_state.h"
typedef assb_est_cells_state state_t;
typedef assb_est_cells_sample sample_t;

typedef char state_is_all_numbers
    [sizeof(state_t) == sizeof(assb_est_cells_block) && sizeof(assb_est_f32_state) == 4 * ASSB_STATE_NUMBERS ? 1 : -1];

static INLINE num pick(mask m, num a, num b)
{
    return (num)(((index_t)a & m) | ((index_t)b & ~m));
}

static INLINE int any(mask m)
{
    halves two = (halves)m;
    return ((two[0] | two[1]) | (two[2] | two[3])) != 0;
}

static INLINE mask not(mask m)
{
    return ~m;
}

static INLINE num all(real x)
{
    return (num){0} + x;
}

static INLINE num at(const real *table, index_t k)
{
    return (num){table[k[0]], table[k[1]], table[k[2]], table[k[3]],
                 table[k[4]], table[k[5]], table[k[6]], table[k[7]]};
}

static INLINE index_t whole(num x)
{
    return __builtin_convertvector(x, index_t);
}

static INLINE num fractional(index_t k)
{
    return __builtin_convertvector(k, num);
}

static INLINE index_t at_most(index_t k, int most)
{
    mask above = k > most;
    return (k & ~above) | (above & most);
}

static INLINE num slow_one_minus_exp(num x);
static void move_span(const real *axis, int count, num *span, num x);

#include "assb_estimator_core.h"
#include "assb_estimator_slow.h"

static INLINE num slow_one_minus_exp(num x)
{
    num d = x;
    for (int lane = 0; lane < ASSB_LANES; lane++)
        if (x[lane] > FAST_EXP_MOST)
            d[lane] = slow_one_minus_exp_of(x[lane]);
    return d;
}

static void move_lanes(const real *axis, int count, num *span, const real *x)
{
    for (int lane = 0; lane < ASSB_LANES; lane++)
        if (!(x[lane] >= span[LOW][lane] && x[lane] < span[HIGH][lane])) {
            real found[ASSB_SPAN];
            span_of(axis, count, x[lane], found);
            for (int k = 0; k < ASSB_SPAN; k++)
                span[k][lane] = found[k];
        }
}

static INLINE void move_span(const real *axis, int count, num *span, num x)
{
    real held[ASSB_LANES];
    memcpy(held, &x, sizeof held);
    move_lanes(axis, count, span, held);
}

static INLINE mask within(num x, real low, real high)
{
    return (x >= low) & (x <= high); /* false for NaN */
}

static INLINE index_t status_of(const params_t *p, const sample_t *in)
{
    index_t status = (index_t){0};
    const struct {
        mask good;
        int32_t otherwise;
    } rules[] = {
        /* the last one that is broken is told, as the first one is for a cell alone */
        {within(in->pressure_mpa, PRESSURE_ZERO_MPA, p->pressure_max_mpa), ASSB_BAD_PRESSURE},
        {within(in->temperature_degc, p->temperature_min_degc, p->temperature_max_degc), ASSB_BAD_TEMPERATURE},
        {within(in->current_a, -p->current_max_a, p->current_max_a), ASSB_BAD_CURRENT},
        {(in->dt_s > 0) & (in->dt_s <= p->dt_max_s), ASSB_BAD_DT},
        {within(in->voltage_v, p->voltage_min_v, p->voltage_max_v), ASSB_BAD_VOLTAGE},
    };
    UNROLL for (int k = 0; k < 5; k++) status = (status & rules[k].good) | (~rules[k].good & rules[k].otherwise);
    return status;
}

/* What stands in for a refused sample: its outcome is thrown away. */
static INLINE sample_t with_stand_ins(const params_t *p, const sample_t *in, mask bad)
{
    sample_t sound = {
        pick(bad, all(p->voltage_max_v), in->voltage_v),
        pick(bad, all(0), in->current_a),
        pick(bad, all(p->temperature_max_degc), in->temperature_degc),
        pick(bad, all(0), in->pressure_mpa),
        pick(bad, all(p->dt_max_s), in->dt_s),
    };
    return sound;
}

static INLINE void advance(const params_t *p, state_t *s, const sample_t *in)
{
    time_update(p, s, in);
    measurement_update(p, s, in);
}

static INLINE void advance_some(const params_t *p, state_t *s, const sample_t *in, mask bad)
{
    state_t before = *s;
    sample_t sound = with_stand_ins(p, in, bad);
    advance(p, s, &sound);
    num *now = (num *)s;
    const num *then = (const num *)&before;
    for (int k = 0; k < ASSB_STATE_NUMBERS; k++)
        now[k] = pick(bad, then[k], now[k]);
}

/* Lanes of a row, from `cells` values of which `count` belong to the block; the rest repeat the last one. */
static INLINE num lanes(const float *row, long count)
{
    num x;
    if (count == ASSB_LANES) {
        memcpy(&x, row, sizeof x);
        return x;
    }
    for (long lane = 0; lane < ASSB_LANES; lane++)
        x[lane] = row[lane < count ? lane : count - 1];
    return x;
}

static INLINE void put_lanes(float *row, num x, long count)
{
    if (row != NULL)
        memcpy(row, &x, sizeof *row * (size_t)count);
}

static INLINE float *row_of(float *column, long at)
{
    return column == NULL ? NULL : column + at;
}

static INLINE long run(const params_t *p, assb_est_cells_block *block, long cells, long first,
                       const assb_est_cells_columns *in, const assb_est_cells_results *out, long n)
{
    long count = cells - first < ASSB_LANES ? cells - first : ASSB_LANES, refused = 0;
    state_t s;
    memcpy(&s, block, sizeof s);
    for (long k = 0; k < n; k++) {
        long place = k * cells + first;
        sample_t sample = {lanes(in->voltage_v + place, count), lanes(in->current_a + place, count),
                           lanes(in->temperature_degc + place, count), lanes(in->pressure_mpa + place, count),
                           all(in->dt_s[k])};
        index_t status = status_of(p, &sample);
        if (any(status)) {
            advance_some(p, &s, &sample, status != 0);
            for (long lane = 0; lane < count; lane++)
                refused += status[lane] != ASSB_OK;
        } else {
            advance(p, &s, &sample);
        }
        put_lanes(row_of(out->soc, place), s.soc, count);
        put_lanes(row_of(out->soc_var, place), s.covariance[ASSB_UPPER(SOC, SOC)], count);
        put_lanes(row_of(out->leak_a, place), s.leak_a, count);
        put_lanes(row_of(out->leak_var, place), s.covariance[ASSB_UPPER(LEAK, LEAK)], count);
        put_lanes(row_of(out->r0_ohm, place), s.r0_ohm, count);
        put_lanes(row_of(out->innovation_v, place), s.innovation_v, count);
        put_lanes(row_of(out->innovation_var, place), s.innovation_var, count);
        if (out->status != NULL)
            memcpy(out->status + place, &status, sizeof *out->status * (size_t)count);
    }
    memcpy(block, &s, sizeof s);
    return refused;
}

static long run_any(const params_t *p, assb_est_cells_block *block, long cells, long first,
                    const assb_est_cells_columns *in, const assb_est_cells_results *out, long n)
{
    return run(p, block, cells, first, in, out, n);
}

#ifdef __x86_64__
__attribute__((target("avx2"))) static long run_wide(const params_t *p, assb_est_cells_block *block, long cells,
                                                     long first, const assb_est_cells_columns *in,
                                                     const assb_est_cells_results *out, long n)
{
    return run(p, block, cells, first, in, out, n);
}

static int is_wide(void)
{
    return __builtin_cpu_supports("avx2") != 0;
}
#else
#define run_wide run_any
#define is_wide() 0
#endif

long assb_est_cells_run(const assb_est_f32_params *p, assb_est_cells_block *blocks, long cells,
                        const assb_est_cells_columns *in, const assb_est_cells_results *out, long n, int wide)
{
    int use_wide = wide && is_wide();
    long refused = 0;
    for (long first = 0; first < cells; first += ASSB_LANES) {
        assb_est_cells_block *block = blocks + first / ASSB_LANES;
        refused +=
            use_wide ? run_wide(p, block, cells, first, in, out, n) : run_any(p, block, cells, first, in, out, n);
    }
    return refused;
}

void assb_est_cells_put(assb_est_cells_block *blocks, long cell, const assb_est_f32_state *state)
{
    const float *numbers = (const float *)state;
    for (int k = 0; k < ASSB_STATE_NUMBERS; k++)
        blocks[cell / ASSB_LANES].number[k][cell % ASSB_LANES] = numbers[k];
}

void assb_est_cells_get(const assb_est_cells_block *blocks, long cell, assb_est_f32_state *state)
{
    float *numbers = (float *)state;
    for (int k = 0; k < ASSB_STATE_NUMBERS; k++)
        numbers[k] = blocks[cell / ASSB_LANES].number[k][cell % ASSB_LANES];
}
