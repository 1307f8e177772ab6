/* assb_estimator_core.h with a number for each of WIDTH cells, which is 4 or 8; see assb_estimator_cells.h. The
 * compiler's vector types (GCC, Clang) become whatever the machine has; a few operations that it does not see as one
 * instruction are named. Included by the files that say WIDTH and RUN. */
typedef float real;
typedef float num __attribute__((vector_size(4 * WIDTH), may_alias));
typedef int32_t index_t __attribute__((vector_size(4 * WIDTH), may_alias));
typedef double pairs_t __attribute__((vector_size(4 * WIDTH), may_alias)); /* two neighbours in a table's memory */
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

typedef char state_is_all_numbers[sizeof(state_t) == sizeof(num) * ASSB_STATE_NUMBERS &&
                                          sizeof(assb_est_f32_state) == 4 * ASSB_STATE_NUMBERS
                                      ? 1
                                      : -1];

static INLINE num pick(mask m, num a, num b)
{
#if WIDTH == 8
    return __builtin_ia32_blendvps256(b, a, (num)m);
#else
    return (num)(((index_t)a & m) | ((index_t)b & ~m));
#endif
}

/* A mask is all ones or zero in each lane, and a status negative or zero: the sign tells. */
static INLINE int any(mask m)
{
#if WIDTH == 8
    return !__builtin_ia32_vtestzps256((num)m, (num)m);
#elif defined(__SSE2__)
    return __builtin_ia32_movmskps((num)m) != 0;
#else
    return ((m[0] | m[1]) | (m[2] | m[3])) != 0;
#endif
}

static INLINE mask not(mask m)
{
    return ~m;
}

static INLINE num all(real x)
{
    return (num){0} + x;
}

static INLINE double pair_at(const real *table, int32_t k)
{
    double two;
    memcpy(&two, table + k, sizeof two);
    return two;
}

/* Neighbours lie together: one load for both, then they are sorted. */
static INLINE void two_at(const real *table, index_t k, num *low, num *high)
{
#if WIDTH == 8
    num a = (num)(pairs_t){pair_at(table, k[0]), pair_at(table, k[1]), pair_at(table, k[4]), pair_at(table, k[5])};
    num b = (num)(pairs_t){pair_at(table, k[2]), pair_at(table, k[3]), pair_at(table, k[6]), pair_at(table, k[7])};
    *low = SHUFFLED(a, b, 0, 2, 8, 10, 4, 6, 12, 14);
    *high = SHUFFLED(a, b, 1, 3, 9, 11, 5, 7, 13, 15);
#else
    num a = (num)(pairs_t){pair_at(table, k[0]), pair_at(table, k[1])};
    num b = (num)(pairs_t){pair_at(table, k[2]), pair_at(table, k[3])};
    *low = SHUFFLED(a, b, 0, 2, 4, 6);
    *high = SHUFFLED(a, b, 1, 3, 5, 7);
#endif
}

static INLINE index_t whole(num x)
{
    index_t k = __builtin_convertvector(x, index_t);
    return k & ~(k < 0); /* NaN becomes the most negative one: it must not become an index */
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
    for (int lane = 0; lane < WIDTH; lane++)
        if (x[lane] > FAST_EXP_MOST)
            d[lane] = slow_one_minus_exp_of(x[lane]);
    return d;
}

static void move_lanes(const real *axis, int count, num *span, const real *x)
{
    for (int lane = 0; lane < WIDTH; lane++)
        if (!(x[lane] >= span[LOW][lane] && x[lane] < span[HIGH][lane])) {
            real found[ASSB_SPAN];
            span_of(axis, count, x[lane], found);
            for (int k = 0; k < ASSB_SPAN; k++)
                span[k][lane] = found[k];
        }
}

static INLINE void move_span(const real *axis, int count, num *span, num x)
{
    real held[WIDTH];
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
    if (count == WIDTH) {
        memcpy(&x, row, sizeof x);
        return x;
    }
    for (long lane = 0; lane < WIDTH; lane++)
        x[lane] = row[lane < count ? lane : count - 1];
    return x;
}

static INLINE void put_lanes(void *row, const void *numbers, long count)
{
    if (row == NULL)
        return;
    if (count == WIDTH)
        memcpy(row, numbers, 4 * WIDTH); /* a size that the compiler knows: one instruction */
    else
        memcpy(row, numbers, 4 * (size_t)count);
}

static INLINE float *row_of(float *column, long at)
{
    return column == NULL ? NULL : column + at;
}

/* Cells `first` and on, as many as there are lanes, through n rows; their block's numbers from `lane` on. */
long RUN(const params_t *p, assb_est_cells_block *block, long lane, long cells, long first,
         const assb_est_cells_columns *in, const assb_est_cells_results *out, long n)
{
    long count = cells - first < WIDTH ? cells - first : WIDTH, refused = 0;
    state_t s;
    num *numbers = (num *)&s;
    for (int k = 0; k < ASSB_STATE_NUMBERS; k++)
        memcpy(numbers + k, block->number[k] + lane, sizeof *numbers);
    for (long k = 0; k < n; k++) {
        long place = k * cells + first;
        sample_t sample = {lanes(in->voltage_v + place, count), lanes(in->current_a + place, count),
                           lanes(in->temperature_degc + place, count), lanes(in->pressure_mpa + place, count),
                           all(in->dt_s[k])};
        index_t status = status_of(p, &sample);
        if (any(status)) {
            advance_some(p, &s, &sample, status != 0);
            for (long at = 0; at < count; at++)
                refused += status[at] != ASSB_OK;
        } else {
            advance(p, &s, &sample);
        }
        put_lanes(row_of(out->soc, place), &s.soc, count);
        put_lanes(row_of(out->soc_var, place), &s.covariance[ASSB_UPPER(SOC, SOC)], count);
        put_lanes(row_of(out->leak_a, place), &s.leak_a, count);
        put_lanes(row_of(out->leak_var, place), &s.covariance[ASSB_UPPER(LEAK, LEAK)], count);
        put_lanes(row_of(out->r0_ohm, place), &s.r0_ohm, count);
        put_lanes(row_of(out->innovation_v, place), &s.innovation_v, count);
        put_lanes(row_of(out->innovation_var, place), &s.innovation_var, count);
        put_lanes(out->status == NULL ? NULL : out->status + place, &status, count);
    }
    for (int k = 0; k < ASSB_STATE_NUMBERS; k++)
        memcpy(block->number[k] + lane, numbers + k, sizeof *numbers);
    return refused;
}
