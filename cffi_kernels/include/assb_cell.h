/* The simulated cell in its stack: electrical, thermal and, through assb_stack.h, mechanical. Double precision, host
 * only; it shares nothing with the estimator. Figures for a real cell come from a plant file; see each field for units.
 *
 * The interface is + charges; inside, inner currents count + for discharge.
 */
#ifndef ASSB_CELL_H
#define ASSB_CELL_H
#include "assb_stack.h"

/* cdef begin */
typedef struct {
    double capacity_ah;
    double ocv_v[ASSB_OCV_POINTS]; /* at reference_k, middle of the hysteresis loop */
    double entropy_v_per_k;        /* dOCV/dT */
    double hysteresis_v;           /* half the gap between charge and discharge OCV */
    double hysteresis_rate;        /* e-folds per full capacity of charge passed */
    double reference_k;
    double se_ohm_cm2; /* solid electrolyte and bulk, at reference_k */
    double se_activation_ev;
    double contact_ohm_cm2; /* interfaces, at reference_k and contact_pressure_mpa */
    double contact_activation_ev;
    double contact_pressure_mpa;
    double contact_exponent;  /* contact resistance goes as pressure^-exponent ... */
    double contact_floor_mpa; /* ... down to this pressure */
    double layers;            /* electrode layers in parallel, on top of each other */
    double layer_area_cm2;
    double rc_ohm[ASSB_RC_PAIRS]; /* at reference_k */
    double rc_tau_s[ASSB_RC_PAIRS];
    double rc_activation_ev;
    double core_j_per_k;
    double surface_j_per_k;
    double core_surface_w_per_k;
    double surface_ambient_w_per_k;
    double swelling_um_per_mah_cm2; /* per layer, both electrodes; > 0: thicker when charged */
    double expansion_um_per_k;      /* of the whole stack */
    assb_stack_params stack;
} assb_cell_params;

typedef struct {
    double soc; /* unbounded: past the ends the OCV runs away */
    double hysteresis;
    double rc_v[ASSB_RC_PAIRS]; /* > 0 on discharge: taken off the OCV */
    double core_degc;
    double surface_degc;
    assb_stack_state stack;
    /* what follows is the outcome of the last step */
    double voltage_v;
    double ocv_v; /* with entropy and hysteresis */
    double r0_ohm;
    double short_a; /* through the internal short, >= 0 */
    double heat_w;  /* all sources, short included */
    double height_um;
} assb_cell_state;

typedef struct {
    double current_a; /* + charges */
    double ambient_degc;
    double drive_mpa;
    double gap_rate_um_s;
    double short_s; /* conductance of the internal short, siemens */
} assb_cell_input;

/* Inputs of n values each. dt_s is one figure for all. Outputs may be NULL. */
typedef struct {
    const double *current_a, *ambient_degc, *drive_mpa, *gap_rate_um_s, *short_s;
} assb_cell_columns;

typedef struct {
    double *voltage_v, *soc, *core_degc, *surface_degc, *pressure_mpa, *gap_um, *r0_ohm, *ocv_v, *short_a, *heat_w;
} assb_cell_results;

/* ASSB_BAD_PARAMETER unless every number is finite and what must be positive is. */
int assb_cell_check(const assb_cell_params *params);
/* At rest at an even temperature, standing at pressure_mpa. */
int assb_cell_reset(const assb_cell_params *params, assb_cell_state *state, double soc, double temperature_degc,
                    double pressure_mpa);
/* R0 at a core temperature and a stack pressure, ohm. */
double assb_cell_r0_ohm(const assb_cell_params *params, double core_degc, double pressure_mpa);
/* Equilibrium voltage without hysteresis, V. */
double assb_cell_ocv_v(const assb_cell_params *params, double soc, double core_degc);
/* Advance by dt_s with the inputs held; outcomes are those at the end of dt_s. Keep dt_s below half the shortest
 * of the cell's time constants when it carries a short. */
int assb_cell_step(const assb_cell_params *params, assb_cell_state *state, const assb_cell_input *in, double dt_s);
/* n steps; stops at the first input that a step refuses and returns how many were taken. */
long assb_cell_run(const assb_cell_params *params, assb_cell_state *state, const assb_cell_columns *in,
                   const assb_cell_results *out, double dt_s, long n);
/* cdef end */

#endif
