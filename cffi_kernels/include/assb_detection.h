/* Internal shorts of one cell: thirteen evidences and their fusion, from what its estimator has just taken. What each
 * evidence sees, its confounders and sources are written at its twin, firmware/assb/detection/; here are the same
 * operations in the same order.
 *
 * Include it after assb_estimator.h, in the same precision. No globals, no allocation, no libm. Only reals: no padding.
 */

/* cdef begin */
/* The group `detection` of firmware/assb/estimation/parameters.py, explained in flat_layout.py. _c: A per nominal Ah.
 */
typedef struct {
    ASSB_REAL rest_c;
    ASSB_REAL step_c;
    ASSB_REAL step_mask_s;
    ASSB_REAL move_mask_s;
    ASSB_REAL dip_sigmas;
    ASSB_REAL dip_floor_v;
    ASSB_REAL dip_window_s;
    ASSB_REAL dip_count;
    ASSB_REAL dip_trace_frac;
    ASSB_REAL dip_trace_v;
    ASSB_REAL noise_ratio;
    ASSB_REAL noise_hold_s;
    ASSB_REAL charge_offset_c;
    ASSB_REAL charge_gain_frac;
    ASSB_REAL charge_capacity_frac;
    ASSB_REAL charge_ocv_v;
    ASSB_REAL pack_ocv_v;
    ASSB_REAL charge_resistance_frac;
    ASSB_REAL pack_resistance_frac;
    ASSB_REAL charge_rc_frac;
    ASSB_REAL charge_contact;
    ASSB_REAL charge_drift_v;
    ASSB_REAL pack_drift_v;
    ASSB_REAL charge_noise_v;
    ASSB_REAL charge_nats;
    ASSB_REAL charge_settle_s;
    ASSB_REAL charge_slope_least_v;
    ASSB_REAL charge_slope_most_v;
    ASSB_REAL rest_window_s;
    ASSB_REAL rest_ratio;
    ASSB_REAL rest_leak_c;
    ASSB_REAL cv_tail_c;
    ASSB_REAL efficiency_drop_frac;
    ASSB_REAL resistance_drop_frac;
    ASSB_REAL resistance_rise_frac;
    ASSB_REAL stall_ratio;
    ASSB_REAL stall_s;
    ASSB_REAL gap_swelling_um;
    ASSB_REAL gap_stiffness_mpa_per_um;
    ASSB_REAL swelling_low;
    ASSB_REAL swelling_high;
    ASSB_REAL plating_watch;
    ASSB_REAL heat_j_per_k;
    ASSB_REAL heat_w;
    ASSB_REAL charge_alone;
    ASSB_REAL stage_fall_s;
} ASSB_EST(detection_params);

/* A slow sample, and what a second of them comes to. */
typedef struct {
    ASSB_REAL voltage_v, current_a, temperature_degc, pressure_mpa, gap_um, aim_mpa, dt_s;
    ASSB_REAL has_pressure, has_gap; /* 0 or 1 */
} ASSB_EST(detection_sample);

typedef struct {
    ASSB_REAL variance_v2, learned;
    ASSB_REAL level_v, drift_v, level_known;    /* voltage before a dip, and what the current makes of it */
    ASSB_REAL length_s, deep, up_s;             /* below the level for so long, so far; above it */
    ASSB_REAL waits, after_s, after_v, after_n; /* for what it leaves behind */
    ASSB_REAL age_s[ASSB_DIPS], ages;           /* of the dips in the window, oldest first */
    ASSB_REAL depth_v, total;
} ASSB_EST(dips);

typedef struct {
    ASSB_REAL before_v, change_v, has_before, now_v2, usual_v2, seen_s, heard_s, loud_s, ratio;
} ASSB_EST(noise);

/* A leak of one size, since a moment at which nothing spoke for one. */
typedef struct {
    ASSB_REAL middle, slow, taken_v, turned; /* of an ampere of it: shares of the pairs, charge, hysteresis */
    ASSB_REAL follows[ASSB_CHARGE_ERRORS];   /* what the filter takes for errors of it, per ampere */
    ASSB_REAL nats;                          /* logarithm of the likelihood ratio */
    ASSB_REAL hours;                         /* since then */
    ASSB_REAL loud_h;                        /* since it was half of a suspect, or doubted */
    ASSB_REAL doubted;                       /* it was suspected, and has to go on */
    ASSB_REAL known, shown;                  /* information on its rate, and that times the rate */
} ASSB_EST(leak_test);

typedef struct {
    ASSB_REAL excess_v;                            /* deficit against the reference */
    ASSB_REAL current_a, fast_v, middle_v, slow_v; /* what the errors go with */
} ASSB_EST(charge_row);

/* A step of the current, from the latest second in which it was steady. */
typedef struct {
    ASSB_REAL excess_v, current_a, fast_v; /* of that second */
    ASSB_REAL change_a, age_s;             /* of the current within it; since then */
    ASSB_REAL higher, sigma;               /* relative error of R0, and what is unknown of it */
} ASSB_EST(current_step);

/* What went in between one passing and the next one of the same tenth; [2]: on charge and on discharge. */
typedef struct {
    ASSB_REAL net_at[ASSB_PASSES], at_s[ASSB_PASSES]; /* of the latest passing; at_s 0: never */
    ASSB_REAL current_a[ASSB_PASSES], degc[ASSB_PASSES], soc_var[ASSB_PASSES];
    ASSB_REAL owed[ASSB_PASSES];                        /* less than nothing went in: so much is first to come back */
    ASSB_REAL net, clock_s, tenth, way;                 /* tenth: where SOC is, from 1; 0: nobody knows */
    ASSB_REAL more[2], latest[2], over_s[2], told_s[2]; /* the least of the latest two; since when; told when */
    ASSB_REAL first[2], first_s[2], grows_c[2];         /* since the current turned */
    ASSB_REAL score, leak_c;                            /* leak_c: of the capacity in an hour */
    ASSB_REAL edge;                                     /* the latest passing, 0: none */
    ASSB_REAL passed, doubt2;                           /* the latest one that was compared, 0: none; its doubt */
    ASSB_REAL contact2;                                 /* what a contact that was lost adds to that */
} ASSB_EST(returns);

typedef struct {
    ASSB_REAL seen_s, known;                              /* known: whether it may be compared */
    ASSB_REAL open1_v, open2_v, open3_v, open_hysteresis; /* what the model has for a cell without a leak */
    ASSB_REAL driven;  /* 0 .. 1: how far the hysteresis has forgotten where it began */
    ASSB_REAL shown_v; /* charge that the current brought and the voltage does not show, as voltage */
    ASSB_REAL table_known, soc_then, table_then_v, slope_then_v; /* what the table says where the filter's SOC was */
    ASSB_REAL ohm, fast_ohm, slow_ohm;                           /* believed: R0, with R1, and R2 */
    ASSB_REAL deficit_v, offset_v,
        cells;          /* voltage below that of a cell without a leak; its usual excess; cells compared */
    ASSB_REAL usual_v;  /* of the others' deficit */
    ASSB_REAL rested_s; /* windows at rest, so far */
    ASSB_REAL lag_c;    /* the current of late: what still evens out within the electrodes goes with it */
    ASSB_EST(charge_row) row[ASSB_LATEST]; /* seconds of the window under way */
    ASSB_EST(current_step) current_step;
    ASSB_REAL rows, span_s, moved_as, swing_a, current_a, ends;
    ASSB_REAL degc, usual_ohm, loop_then, open2_then_v, open3_then_v; /* smoothed, and of the window before */
    ASSB_REAL begun, alone, lost;                                     /* lost: the offset is to be found anew */
    ASSB_REAL lean, jumps;                                            /* of the innovations, in sigmas */
    ASSB_REAL highest, measured; /* error of R0 of late, the most; the most that a step told */
    ASSB_REAL error[ASSB_CHARGE_ERRORS], covariance[ASSB_CHARGE_PAIRS]; /* upper triangle, row by row */
    ASSB_EST(leak_test) test[ASSB_LEAKS];
    ASSB_EST(returns) returns;
    ASSB_REAL nats, leak_a, leak_sigma_a; /* of the likeliest */
} ASSB_EST(charge_evidence);

typedef struct {
    ASSB_REAL rest_s, voltage_v, mark_s, mark_v, mark_degc, slope_v_per_s, windows, falls;
    ASSB_REAL expected_v; /* slope times time of the relaxation, at its steepest */
    ASSB_REAL pressure_mpa, mark_mpa, fall_mpa_per_s, expected_mpa;
} ASSB_EST(rest_evidence);

typedef struct {
    ASSB_REAL hold_s, voltage_v, mark_s, begin_a, first_a, second_a, points, usual_a, tail_a, near, holds;
} ASSB_EST(tail_evidence);

typedef struct {
    ASSB_REAL begun, begin_soc, begin_var, charged, discharged, turned, cycles;
    ASSB_REAL efficiency[ASSB_CYCLES], latest, lows;
} ASSB_EST(efficiency_evidence);

typedef struct {
    ASSB_REAL before_v, before_a, middle_v, middle_a, after_v, after_a, seen, steady;
    ASSB_REAL usual, recent, steps, recent_steps, usual_mpa, usual_degc;
} ASSB_EST(resistance_evidence);

typedef struct {
    ASSB_REAL span_s, start_v, start_degc, charge_frac, low_a, stalls;
} ASSB_EST(stall_evidence);

typedef struct {
    ASSB_REAL begun, charge_frac, start_um, start_degc, direction, aim_mpa, still_s;
    ASSB_REAL usual[ASSB_SWELLING_BINS]; /* of the profile's swelling, per tenth of SOC: charge, then discharge */
    ASSB_REAL visits[ASSB_SWELLING_BINS];
    ASSB_REAL ratio;
} ASSB_EST(swelling_evidence);

typedef struct {
    ASSB_REAL span_s, start_degc, lost_j, excess_w;
} ASSB_EST(heat_evidence);

typedef struct {
    ASSB_REAL state[ASSB_EVIDENCES], score[ASSB_EVIDENCES]; /* enum assb_evidence_state; 1: at its threshold */
    ASSB_EST(dips) dips;
    ASSB_EST(noise) noise;
    ASSB_EST(charge_evidence) charge;
    ASSB_EST(rest_evidence) rest;
    ASSB_EST(tail_evidence) tail;
    ASSB_EST(efficiency_evidence) efficiency;
    ASSB_EST(resistance_evidence) resistance;
    ASSB_EST(stall_evidence) stall;
    ASSB_EST(swelling_evidence) swelling;
    ASSB_EST(heat_evidence) heat;
    /* of the slow samples */
    ASSB_REAL current_a, since_step_s, aim_mpa, since_move_s;
    ASSB_REAL soc_before; /* soc + soc_residual after the sample before */
    ASSB_REAL has_soc;
    ASSB_REAL span_s, sum_v, sum_a, counted, rose; /* of the second that is under way; SOC: by current, by filter */
    /* outcome */
    ASSB_REAL stage, quiet_s, suspicion, softness; /* enum assb_stage; 1: at suspect, at soft short */
    ASSB_REAL likelihood;                          /* ln of the odds of a short */
    ASSB_REAL carried;                             /* bit k: evidence k carries the stage */
    ASSB_REAL rs_ohm, rs_low_ohm, rs_high_ohm;     /* 0: no short is seen */
} ASSB_EST(detection);

/* What the other cells of the pack show at the moment. */
typedef struct {
    ASSB_REAL cells; /* that could be compared, itself included */
    ASSB_REAL ends;  /* another one is at an end of SOC, where its voltage tells nothing */
    ASSB_REAL deficit_v, slope_v_per_s, noise_ratio;
    ASSB_REAL passed,
        took_c[2]; /* the tenth that they passed, too; what their cycles took, of the capacity in an hour */
} ASSB_EST(reference);

/* ASSB_BAD_PARAMETER unless every number is finite and what must be positive is. */
int ASSB_EST(detection_check)(const ASSB_EST(detection_params) *params);
void ASSB_EST(detection_reset)(ASSB_EST(detection) *detection);
/* Charge flowed that nobody saw, or the estimator began anew: spans under way are given up, what is learned stays. */
void ASSB_EST(detection_lose)(ASSB_EST(detection) *detection);
/* A sample without a voltage: its charge was counted, nothing is to be seen in it. */
void ASSB_EST(detection_blind)(ASSB_EST(detection) *detection);
/* A sample that the estimator has just taken. Returns 1 when a second is complete: then detection_second. */
int ASSB_EST(detection_sample_taken)(const ASSB_EST(detection_params) *params, const ASSB_EST(params) *cell,
                                     ASSB_EST(detection) *detection, const ASSB_EST(state) *state,
                                     const ASSB_EST(detection_sample) *sample);
/* Of the `count` cells of a pack, for number `own` of them. */
void ASSB_EST(detection_reference)(const ASSB_EST(detection) *all, long count, long own,
                                   ASSB_EST(reference) *reference);
/* The evidences that look at seconds, and the stage; returns 1 when it changed. */
int ASSB_EST(detection_second)(const ASSB_EST(detection_params) *params, const ASSB_EST(params) *cell,
                               ASSB_EST(detection) *detection, const ASSB_EST(state) *state,
                               const ASSB_EST(detection_sample) *sample, const ASSB_EST(reference) *reference);
/* All that lies between OCV and terminals: R0, R1 and R2. */
ASSB_REAL ASSB_EST(loop_ohm)(const ASSB_EST(params) *cell, const ASSB_EST(state) *state, ASSB_REAL temperature_degc);
/* The voltage has collapsed (judged in the fast tick): a hard short at once. Returns 1 when the stage changed. */
int ASSB_EST(detection_collapsed)(ASSB_EST(detection) *detection, ASSB_REAL rs_ohm);
/* cdef end */
