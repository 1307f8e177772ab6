/* State and input of one cell's filter, included by assb_estimator.h. ASSB_NUM is one number, or one for each of
 * several cells that are stepped together (assb_estimator_cells.c); the members are the same. Only numbers: no padding.
 */

#ifndef ASSB_UPPER
/* Place of row i, column j >= i in the packed upper triangle. */
#define ASSB_UPPER(i, j) ((i) * (9 - (i)) / 2 + (j))
#endif

/* cdef begin */
typedef struct {
    ASSB_NUM soc;          /* 0..1 */
    ASSB_NUM soc_residual; /* what soc is too coarse to hold; the sum of both is the charge */
    ASSB_NUM v1_v, v2_v;
    ASSB_NUM hysteresis; /* -1 discharged .. +1 charged */
    ASSB_NUM leak_a;
    ASSB_NUM covariance[ASSB_TRIANGLE];     /* upper triangle, row by row, of soc, v1_v, v2_v, hysteresis, leak_a */
    ASSB_NUM resistance_cross[ASSB_STATES]; /* covariance of the states with the relative error of R0 */
    ASSB_NUM settling_s;                    /* left of the time in which the initial SOC is doubted */
    ASSB_NUM nis_mean;                      /* fading mean of the normalised innovation squared */
    ASSB_NUM resistance_scale;              /* of R0, R1 and R2 against the tables: 1 when new */
    ASSB_NUM capacity_scale;                /* of capacity_ah: 1 when new */
    ASSB_NUM r0_ohm;                        /* at the last temperature and pressure */
    ASSB_NUM innovation_v, innovation_var;  /* of the last step, before the gate */
    ASSB_NUM kept_dt_s, kept[ASSB_KEPT];    /* decays of the last time step */
    ASSB_NUM warm[ASSB_SPAN], pressed[ASSB_SPAN]; /* where on the axes of R0 the last sample was */
} ASSB_EST(state);

typedef struct {
    ASSB_NUM voltage_v, current_a, temperature_degc, pressure_mpa, dt_s;
} ASSB_EST(sample);
/* cdef end */
