/* What moves the gap of one stack: nothing, an electro-pneumatic regulator with its cylinder, or a stepper screw.
 * A wider gap lowers the pressure. Double precision, host only.
 */
#ifndef ASSB_ACTUATOR_H
#define ASSB_ACTUATOR_H
#include "assb_stack.h"

/* cdef begin */
enum assb_actuator_kind { ASSB_FIXED_GAP = 0, ASSB_PNEUMATIC = 1, ASSB_STEPPER = 2 };

typedef struct {
    int kind;
    /* stepper screw */
    double um_per_step;
    double backlash_um; /* lost at each reversal */
    double steps_per_s_max;
    double gap_min_um, gap_max_um; /* limit switches, against the gap at reset; no step goes past them */
    double stall_mpa;              /* the motor turns no further against this */
    double deadband_mpa; /* of the bench's own controller: it moves by whole steps towards its aim beyond this */
    /* pneumatic */
    double supply_mpa;     /* stack pressure that the air supply reaches */
    double hysteresis_mpa; /* rising and falling settle this far apart */
    double time_constant_s;
    double slew_mpa_s;
    double piston_um_per_s_mpa; /* speed per MPa beyond friction */
    double piston_friction_mpa; /* stiction: the piston holds while |P - drive| is below it */
} assb_actuator_params;

typedef struct {
    double gap_um;
    double home_um;     /* the gap at reset */
    double play_mpa;    /* pneumatic: set point behind the hysteresis */
    double drive_mpa;   /* pneumatic: what the regulator gives the cylinder */
    double steps;       /* stepper: pulses counted since reset, + opens; a stalled or jammed screw counts them too */
    double owed_steps;  /* share of a pulse that is not due yet, -1..1 */
    double backlash_um; /* slack taken up on the opening side, 0..backlash_um of the parameters */
    int at_min, at_max, stalled;
    /* pneumatic: what a step of weights_dt_s keeps of the lag, and how far the piston goes: spares exponentials */
    double weights_dt_s, keep, um_per_mpa;
} assb_actuator_state;

typedef struct {
    double aim_mpa; /* pneumatic: set point; NaN: as before. Stepper: aim of the bench's own controller; NaN: none */
    double steps_per_s; /* stepper without an aim: commanded rate, + opens */
    int frozen;         /* fault: the regulator holds its pressure; the screw is jammed */
} assb_actuator_input;

int assb_actuator_check(const assb_actuator_params *params);
int assb_actuator_input_status(const assb_actuator_params *params, const assb_actuator_input *in);
/* In balance at this gap and pressure. */
void assb_actuator_reset(const assb_actuator_params *params, assb_actuator_state *state, double gap_um,
                         double pressure_mpa);
/* Move over dt_s against a stack whose stress is stress_mpa at the present gap (below zero: no contact). */
void assb_actuator_step(const assb_actuator_params *params, assb_actuator_state *state, const assb_actuator_input *in,
                        double stress_mpa, double stiffness_mpa_per_um, double dt_s);
/* cdef end */

#endif
