/* A lithium filament through the separator: growth against the critical current density, slow creep under pressure,
 * healing, stochastic bridging, burn-out, deepening, hard short. Equations and sources: docs/model.md.
 */
#ifndef ASSB_FILAMENT_H
#define ASSB_FILAMENT_H
#include "assb_common.h"
#include "assb_random.h"

/* cdef begin */
typedef struct {
    double ccd_ma_cm2;   /* critical current density for plating, at reference_k of the cell and pressure_mpa */
    double pressure_mpa; /* reference pressure of this law's exponents */
    double ccd_pressure_exponent;            /* CCD goes as (P/pressure_mpa)^exponent */
    double ccd_activation_ev;                /* CCD goes as exp(-E/kB (1/T - 1/Tref)): more when warm */
    double growth_per_s;                     /* length per second at twice the CCD */
    double void_focus;                       /* local current rises as 1 + void_focus * theta */
    double creep_per_s[ASSB_CREEP_TERMS];    /* g(P) = sum creep_per_s[k] (P/pressure_mpa)^creep_exponent[k], at any */
    double creep_exponent[ASSB_CREEP_TERMS]; /* current; CALIBRATED to published times to short, not validated */
    double healing_per_s;                    /* first-order loss of length while nothing plates */
    double bridge_per_s;                     /* hazard of bridging: bridge_per_s * length^bridge_exponent */
    double bridge_exponent;
    double bridge_median_ohm; /* a fresh bridge's resistance is lognormal: this median ... */
    double bridge_sigma_ln;   /* ... and this sigma of its logarithm */
    double burn_median_j;     /* a bridge burns out at an energy drawn from a lognormal; 0: never burns out */
    double burn_sigma_ln;
    double burn_window_s; /* energy is forgotten with this time constant: it is carried away as heat */
    double burnt_length;  /* length left after a burn-out, 0..1 */
    double deepen_per_s;  /* growth rate of a standing bridge's conductance while lithium plates at the CCD */
    double both_ways;     /* 1: lithium on both sides (Li|Li), plates whatever the sign; 0: on charge only */
} assb_filament_params;   /* growth, creep and bridge rates all 0: the unit never shorts by itself */

typedef struct {
    double length;    /* 1: through the separator */
    double short_s;   /* conductance of the standing bridge, siemens; 0: none */
    double energy_j;  /* what it has taken lately */
    double burn_at_j; /* where this bridge burns out; 0: never */
    double hazard;    /* integral of the hazard since the last bridge */
    double bridge_at; /* where it bridges next: unit exponential */
    double bridges;   /* counts since reset */
    double burn_outs;
    double is_hard;       /* 1 once Rs < R0; a hard short stays */
    double deepened_at_s; /* conductance at which the next halving of Rs is told */
    assb_random random;
    double hazard_from; /* length at which the hazard was last counted ... */
    double waiting_s;   /* ... so long ago ... */
    double calm_length; /* ... which may be a while below this length */
    /* at the present temperature and pressure */
    double per_ccd_cm2_ma;
    double creep_per_s;
    assb_near ccd, creep[ASSB_CREEP_TERMS];
} assb_filament_state;
/* cdef end */

/* What drives a filament over a span in which it holds. */
typedef struct {
    double plating_ma_cm2; /* onto its lithium; <= 0: none plates */
    double theta;          /* voids */
    double behind_v;       /* terminal voltage without any short */
    double r0_ohm;
    double outside_s; /* a short injected beside it */
} assb_filament_drive;

/* What it did over the span. */
typedef struct {
    double span_s;  /* until its next event, at most what was asked for */
    double short_s; /* mean conductance over the span; its state has the conductance from the end of it on */
} assb_filament_move;

/* Onto the list of the step; its time comes once the span is over. */
void assb_told_note(assb_told *told, enum assb_event_kind kind, double value);
int assb_filament_is_on(const assb_filament_params *params);
int assb_filament_check(const assb_filament_params *params);
void assb_filament_reset(assb_filament_state *state, uint64_t seed, uint64_t stream);
/* For a temperature and pressure: pressed = ln(P/pressure_mpa), cold_per_ev = (1/T - 1/Tref)/kB. */
void assb_filament_rates(const assb_filament_params *params, assb_filament_state *state, double pressed,
                         double cold_per_ev);
/* Moves over dt_s, or less: up to its next bridging or burn-out, if may_switch. Adds to `told`. */
assb_filament_move assb_filament_step(const assb_filament_params *params, assb_filament_state *state,
                                      const assb_filament_drive *drive, double dt_s, int may_switch, assb_told *told);

#endif
