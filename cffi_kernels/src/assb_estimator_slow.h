/* What a step needs once in a while, number by number. The including file defines `real`. */

/* 1 - exp(-x), x >= 0: the [3/3] Pade form on x / 2^k, then k times d = d (2 - d). Absolute error below 1e-9. */
static real slow_one_minus_exp_of(real x)
{
    int halvings = 0;
    if (x > (real)64)
        return 1;
    while (x > (real)0.25) {
        x = x * (real)0.5;
        halvings++;
    }
    real square = x * x;
    real d = x * ((real)120 + (real)2 * square) / ((real)120 + (real)12 * square + x * ((real)60 + square));
    while (halvings > 0) {
        d = d * ((real)2 - d);
        halvings--;
    }
    return d;
}

/* The cell of x on a rising axis; beyond its ends a cell without slope. */
static void span_of(const real *axis, int count, real x, real *span)
{
    int k = 0;
    span[PER_UNIT] = span[BASE] = span[INDEX] = 0;
    if (!(x >= axis[0])) {
        span[LOW] = -CELLS_END;
        span[HIGH] = axis[0];
        return;
    }
    if (x >= axis[count - 1]) {
        span[LOW] = axis[count - 1];
        span[HIGH] = CELLS_END;
        span[BASE] = 1;
        span[INDEX] = (real)(count - 2);
        return;
    }
    while (x >= axis[k + 1])
        k++;
    span[LOW] = axis[k];
    span[HIGH] = axis[k + 1];
    span[PER_UNIT] = 1 / (axis[k + 1] - axis[k]);
    span[INDEX] = (real)k;
}
