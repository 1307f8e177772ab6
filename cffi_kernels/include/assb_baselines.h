/* Detectors of internal shorts as the literature describes them, to measure ours against: once a second on the means of
 * the readings, each gives a score per cell. Double precision, host only; the caller owns all arrays. Include it after
 * assb_estimator.h in double precision, and after assb_watch.h.
 */
#ifndef ASSB_BASELINES_H
#define ASSB_BASELINES_H

/* cdef begin */
enum assb_baseline_dimension {
    ASSB_BASELINES = 4,
    ASSB_DRIFT_POINTS = 60 /* of the window of the SOC drift, a minute apart */
};

/* In the order of a cell's crossings; sources stand with each in assb_baselines.c. */
enum assb_baseline {
    ASSB_VOLTAGE_THRESHOLD = 0, /* V below the pack's median, or beyond the window */
    ASSB_PSEUDO_OCV = 1,        /* V by which V - I R0 fell within a second, more than the pack's median */
    ASSB_MEAN_DIFFERENCE = 2,   /* V by which the OCV has fallen against the pack's mean */
    ASSB_SOC_DRIFT = 3          /* 1/h: SOC that vanishes, of the filter against the counted one */
};

typedef struct {
    assb_est_f64_state filter; /* as ours, but without a leak in it */
    double sum_v, voltage_v, pseudo_v, pseudo_fall_v;
    double differs[2], covariance[3]; /* recursive least squares: OCV in V and R0 in ohm against the mean's */
    double usual_v;                   /* the OCV's difference when learning was over */
    double counted;                   /* SOC that the current has brought */
    double drift[ASSB_DRIFT_POINTS];  /* filter less counted, a ring */
    double drift_per_h;
    assb_crossings crossings[ASSB_BASELINES];
} assb_baseline_cell;

typedef struct {
    int cells;
    long rows_per_second;
    double low_v, high_v;              /* window of a cell's voltage */
    const assb_est_f64_params *params; /* per cell, as is the next */
    assb_baseline_cell *cell;
    /* where it is */
    long rows, seconds, drift_points;
    double sum_a, current_a, temperature_degc, pressure_mpa;
} assb_baselines;

/* All new; thresholds of score k are low[k] * ratio[k]^n. */
void assb_baselines_reset(assb_baselines *baselines, const double *low, const double *ratio);
/* n rows further; a second with a NaN in it is passed over. */
void assb_baselines_run(assb_baselines *baselines, const assb_watch_columns *in, long n);
/* cdef end */

#endif
