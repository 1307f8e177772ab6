/* One channel between the truth and the chip that converts it: delay, gain, offset, drift, noise, quantisation,
 * dropouts, and faults on top. Its random numbers are its own.
 */
#ifndef ASSB_SENSOR_H
#define ASSB_SENSOR_H
#include "assb_common.h"
#include "assb_random.h"

/* cdef begin */
typedef struct {
    double gain_frac;      /* error of the gain: it reads (1 + gain_frac) times the truth */
    double offset;         /* in the unit of the quantity, as are the next three */
    double drift_per_rt_h; /* rms of a random walk after one hour */
    double noise_rms;      /* white, per reading */
    double quantum;        /* readings are whole multiples of it; 0: none */
    double delay_s;        /* it sees the truth of this long ago; at most ASSB_SENSOR_LINE readings */
    double dropout_frac;   /* share of readings that repeat the one before */
} assb_sensor_params;

typedef struct {
    double time_s, truth;
} assb_sensor_past;

typedef struct {
    int stuck;              /* repeats its last reading */
    double gain_fault;      /* factor on what it reads, 1: none */
    double offset_fault;    /* added after that */
    double noise_fault_rms; /* added to noise_rms */
} assb_sensor_faults;

typedef struct {
    double time_s;
    double drift;
    double last; /* reading */
    int has_read;
    int first, count; /* of line: a ring, the oldest first */
    assb_sensor_past line[ASSB_SENSOR_LINE];
    assb_random random;
} assb_sensor_state;

int assb_sensor_check(const assb_sensor_params *params);
int assb_sensor_faults_check(const assb_sensor_faults *faults);
void assb_sensor_reset(assb_sensor_state *state, uint64_t seed, uint64_t stream);
/* The reading dt_s (>= 0) after the one before, of this truth. A negative status changes nothing: ASSB_BAD_VOLTAGE for
 * a truth that is not finite or beyond 1e100, ASSB_BAD_DT for a dt_s so short that the delay does not fit into the
 * line. */
int assb_sensor_read(const assb_sensor_params *params, const assb_sensor_faults *faults, assb_sensor_state *state,
                     double truth, double dt_s, double *measured);
/* n readings; stops at the first truth that is refused and returns how many were taken. */
long assb_sensor_run(const assb_sensor_params *params, const assb_sensor_faults *faults, assb_sensor_state *state,
                     const double *truth, double *measured, long n, double dt_s, int *status);
/* cdef end */

#endif
