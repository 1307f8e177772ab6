/* One electrochemical unit: electrical, thermal, contact voids, filament, ageing. Double precision, host only; it
 * shares nothing with the estimator. Its stack (assb_stack.h) tells it the pressure and takes its height. Figures for a
 * real cell come from a plant file; see each field for units.
 *
 * The interface is + charges; inside, inner currents count + for discharge.
 */
#ifndef ASSB_CELL_H
#define ASSB_CELL_H
#include "assb_ageing.h"
#include "assb_common.h"
#include "assb_filament.h"
#include "assb_voids.h"

/* cdef begin */
typedef struct {
    double capacity_ah; /* fresh */
    /* these four share one SOC axis, 0..1 */
    double ocv_v[ASSB_OCV_POINTS];           /* at reference_k, middle of the hysteresis loop */
    double entropy_v_per_k[ASSB_OCV_POINTS]; /* dOCV/dT */
    double swelling_frac[ASSB_OCV_POINTS];   /* shape of the swelling: 0 at SOC 0, 1 at SOC 1; straight: k/128 */
    double rc_factor[ASSB_OCV_POINTS];       /* on rc_ohm */
    double hysteresis_v;                     /* half the gap between charge and discharge OCV */
    double hysteresis_rate;                  /* e-folds per full capacity of charge passed */
    double reference_k;
    double se_ohm_cm2; /* solid electrolyte and bulk, at reference_k */
    double se_activation_ev;
    double contact_ohm_cm2; /* interfaces, at reference_k and contact_pressure_mpa, no voids */
    double contact_activation_ev;
    double contact_pressure_mpa;
    double contact_exponent;  /* contact resistance goes as pressure^-exponent ... */
    double contact_floor_mpa; /* ... down to this pressure, which is the floor of every power of the pressure */
    double layers;            /* electrode layers in parallel, on top of each other */
    double layer_area_cm2;
    double rc_ohm[ASSB_RC_PAIRS]; /* at reference_k, times rc_factor */
    double rc_tau_s[ASSB_RC_PAIRS];
    double rc_activation_ev;
    double core_j_per_k;
    double surface_j_per_k;
    double core_surface_w_per_k;
    double surface_ambient_w_per_k;
    double swelling_um_per_mah_cm2; /* per layer, both electrodes, empty to full; > 0: thicker when charged */
    double expansion_um_per_k;      /* of this unit */
    double ambient_offset_k;        /* its place is warmer than the room by this much: spread in a pack */
    assb_void_params voids;
    assb_filament_params filament;
    assb_ageing_params ageing;
} assb_cell_params;

/* Follows from the parameters, the state and dt_s: spares divisions and exponentials, changes no result. */
typedef struct {
    double dt_s;
    double keep[ASSB_RC_PAIRS]; /* exp(-dt/tau) */
    double rise[ASSB_RC_PAIRS]; /* rc_ohm (1 - keep) */
    double mean[ASSB_RC_PAIRS]; /* mean of exp(-t/tau) over dt_s */
    double lag_ohm;             /* sum of rc_ohm (1 - mean) */
    double per_s;               /* 1/dt_s */
    double core_w_per_k;        /* heat capacities over dt_s */
    double surface_w_per_k;
    double core_by_core; /* inverse of the thermal matrix, which is symmetric, K/W */
    double core_by_surface;
    double surface_by_surface;
    /* of the parameters and ageing */
    double rc_farad[ASSB_RC_PAIRS]; /* tau/ohm at the reference */
    double soc_per_as;              /* 1/(3600 present capacity) */
    double ma_cm2_per_a;
    double ohm_per_ohm_cm2; /* 1/area of all layers, aged */
    double swelling_um;     /* empty to full, all layers, present capacity */
    double ln_contact_mpa;
    double ln_filament_mpa;
    double ln_strip_mpa;
    double per_reference_k;
    double filament_is_on;
    double ageing_is_on;
    double void_um;   /* height at theta = 1 */
    double per_kt_ev; /* 1/(kB T) at the last full evaluation of the laws of temperature and pressure ... */
    double at_k, per_at_k, at_mpa, per_at_mpa;
    double since_s;                                /* ... which was so long ago */
    double se_ohm_cm2, contact_ohm_cm2, rc_factor; /* there */
    assb_near ln_pressure, se, contact, rc;
    assb_void_rates voids;
    double ln_mpa;      /* there, as is the next one */
    double cold_per_ev; /* (1/T - 1/Tref)/kB */
    /* of the state */
    double entropy_v_per_k;
    double slope_v;  /* dOCV/dSOC */
    double rc_scale; /* on rc_ohm: temperature, SOC, ageing */
    double behind_v; /* ocv_v less the RC pairs */
    double inner_a;  /* mean over the last span, > 0 discharges */
} assb_cell_cache;

typedef struct {
    double soc; /* unbounded: past the ends the OCV runs away */
    double hysteresis;
    double rc_v[ASSB_RC_PAIRS]; /* > 0 on discharge: taken off the OCV */
    double core_degc;
    double surface_degc;
    double theta; /* share of contact lost to voids, 0 <= theta < 1 */
    assb_filament_state filament;
    assb_ageing_state ageing;
    double capacity_ah;  /* present */
    double pressure_mpa; /* of its stack, as last told */
    /* what follows is the outcome of the last step */
    double voltage_v;      /* at its end */
    double mean_voltage_v; /* over it: energy closes with this one */
    double ocv_v;          /* with entropy and hysteresis */
    double r0_ohm;
    double short_a;  /* through own bridge and injected short, at its end */
    double short_s;  /* both, siemens */
    double heat_w;   /* mean over it: all sources, shorts included, heater not */
    double stored_j; /* in the RC pairs */
    double height_um;
    assb_told told; /* events of the step; 0 mask: none */
    assb_cell_cache cache;
} assb_cell_state;

typedef struct {
    double current_a; /* + charges */
    double ambient_degc;
    double pressure_mpa; /* of its stack: R0, voids and filament feel it from the end of this step on */
    double heater_w;     /* into the surface */
    double short_s;      /* conductance of a short injected from outside, siemens */
} assb_cell_input;

/* The terminal voltage as seen from outside: volts + ohm * current_a. */
typedef struct {
    double volts;
    double ohm;
} assb_cell_line;

/* ASSB_BAD_PARAMETER unless every number is finite and what must be positive is. */
int assb_cell_check(const assb_cell_params *params);
/* What assb_cell_reset would answer. */
int assb_cell_start_status(double soc, double temperature_degc, double pressure_mpa);
/* At rest at an even temperature, standing at pressure_mpa. Parameters are read here: to change one, reset again. */
int assb_cell_reset(const assb_cell_params *params, assb_cell_state *state, double soc, double temperature_degc,
                    double pressure_mpa, uint64_t seed, uint64_t stream);
/* R0 at a core temperature and a stack pressure, fresh and without voids, ohm. */
double assb_cell_r0_ohm(const assb_cell_params *params, double core_degc, double pressure_mpa);
/* Equilibrium voltage without hysteresis, V. */
double assb_cell_ocv_v(const assb_cell_params *params, double soc, double core_degc);
/* What assb_cell_step would answer, without a step. */
int assb_cell_input_status(const assb_cell_input *in, double dt_s);
/* Advance by dt_s with the inputs held; outcomes are those at the end of dt_s. Stable for any dt_s, shorts included. */
int assb_cell_step(const assb_cell_params *params, assb_cell_state *state, const assb_cell_input *in, double dt_s);
/* The same for an input that assb_cell_input_status has passed. */
void assb_cell_move(const assb_cell_params *params, assb_cell_state *state, const assb_cell_input *in, double dt_s);
/* Terminals at the end of the next dt_s against the current held over it, linearised; series units add up. */
assb_cell_line assb_cell_outlook(const assb_cell_params *params, const assb_cell_state *state, double dt_s);
/* cdef end */

/* Beyond these an input is a mistake; within them every result stays finite. */
#define ASSB_KELVIN 273.15
#define ASSB_CURRENT_MOST_A 1e6
#define ASSB_PRESSURE_MOST_MPA 1e30 /* far: a runaway swelling must not stop the pack that it happens in */
#define ASSB_HEATER_MOST_W 1e6
#define ASSB_SHORT_MOST_S 1e6
#define ASSB_DT_LEAST_S 1e-9
#define ASSB_DT_MOST_S 1e6
#define ASSB_AMBIENT_MOST_DEGC 1000.0
/* Temperatures are held within these: a cell that boiled is no cell. */
#define ASSB_COLDEST_DEGC (-100.0)
#define ASSB_HOTTEST_DEGC 1e4

#endif
