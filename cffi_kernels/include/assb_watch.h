/* What the firmware does with the readings of a pack, over columns of them: estimator, learning and detection of each
 * cell at the slow tick, the collapse of a voltage at every reading. Double precision, host only; the caller owns all
 * arrays. The board's own loop is firmware/assb/cells.py; a test holds the two together.
 */
#ifndef ASSB_WATCH_H
#define ASSB_WATCH_H

/* cdef begin */
enum assb_crossing_dimension { ASSB_GRID = 40 };

/* When a score first reached each threshold low * ratio^k; infinite: not yet. Times since `from_s`. */
typedef struct {
    double low, ratio, from_s;
    double next; /* the lowest threshold that was not reached */
    int reached;
    double at_s[ASSB_GRID];
} assb_crossings;

typedef struct {
    double time_s;
    int cell;
    double stage, evidence_bits, likelihood, rs_ohm, rs_low_ohm, rs_high_ohm;
} assb_watch_change;

/* Of one cell, between slow ticks. */
typedef struct {
    double sum_v, sum_a; /* of the readings of this slow tick */
    double slow_a;       /* current of the last one that the estimator took, ... */
    double expected_v;   /* ... the voltage that the model has for it ... */
    double expected_s;   /* ... and its time */
    double loop_ohm;
    double low_s;   /* since the first reading that had collapsed */
    double refused; /* readings that the estimator did not take */
    double blind;   /* readings without a voltage */
    int started, has_expected, is_low;
    assb_crossings softness, suspicion;
} assb_watch_cell;

/* n rows; voltage_v is row-major, a value per cell. NaN: no reading. */
typedef struct {
    const double *time_s, *voltage_v, *current_a, *temperature_degc, *pressure_mpa, *gap_um, *aim_mpa;
} assb_watch_columns;

typedef struct {
    int cells;
    long rows_per_step; /* readings that a slow tick takes the mean of */
    /* per cell, then one for all */
    const assb_est_f64_params *params;
    const assb_est_f64_learning_params *learning_params;
    const assb_est_f64_detection_params *detection_params;
    assb_est_f64_state *state;
    assb_est_f64_learning *learning;
    assb_est_f64_detection *detection;
    assb_watch_cell *cell;
    double initial_soc_sigma;
    double collapse_v, collapse_hold_s; /* so far below the model, so long: a hard short */
    /* where it is */
    long rows_in_step;
    int begun;
    double before_s, step_s; /* times of the reading and of the slow tick before */
    double temperature_degc, pressure_mpa;
    /* stages as they changed; the caller takes them when it likes */
    assb_watch_change *change;
    long changes, change_capacity, changes_lost;
} assb_watch;

/* All cells new. */
void assb_watch_reset(assb_watch *watch);
/* Nobody looked for a while: the next reading starts the estimators anew, what was learned stays. */
void assb_watch_restart(assb_watch *watch);
/* n rows further. */
void assb_watch_run(assb_watch *watch, const assb_watch_columns *in, long n);
void assb_crossings_reset(assb_crossings *crossings, double low, double ratio, double from_s);
void assb_crossings_see(assb_crossings *crossings, double score, double time_s);
/* cdef end */

#endif
