#include "assb_actuator.h"
#include "assb_math.h"

#include <math.h> /* floor, isnan: exact on every machine */
#include <stddef.h>

#define NUMBER_MOST 1e12
#define WHOLE 1e-9 /* of a step: a rate times dt that rounds just below a whole step is that step */

/* Nothing below 0; the first `positive` of them above it; nothing that would not leave results finite. */
static int numbers_status(const double *values, size_t count, size_t positive)
{
    for (size_t k = 0; k < count; k++)
        if (!(values[k] >= (k < positive ? 1 / NUMBER_MOST : 0) && values[k] <= NUMBER_MOST)) /* NaN is not */
            return ASSB_BAD_PARAMETER;
    return ASSB_OK;
}

int assb_actuator_check(const assb_actuator_params *p)
{
    const double stepper[] = {p->um_per_step, p->steps_per_s_max, p->stall_mpa, p->backlash_um, p->deadband_mpa};
    const double pneumatic[] = {p->supply_mpa,          p->time_constant_s, p->slew_mpa_s,
                                p->piston_um_per_s_mpa, p->hysteresis_mpa,  p->piston_friction_mpa};
    switch (p->kind) {
    case ASSB_FIXED_GAP:
        return ASSB_OK;
    case ASSB_PNEUMATIC:
        return numbers_status(pneumatic, sizeof pneumatic / sizeof *pneumatic, 4);
    case ASSB_STEPPER:
        if (!(p->gap_min_um <= 0 && p->gap_max_um >= 0)) /* infinite: no switch */
            return ASSB_BAD_PARAMETER;
        return numbers_status(stepper, sizeof stepper / sizeof *stepper, 3);
    default:
        return ASSB_BAD_PARAMETER;
    }
}

int assb_actuator_input_status(const assb_actuator_params *p, const assb_actuator_input *in)
{
    if (p->kind == ASSB_FIXED_GAP)
        return ASSB_OK;
    return isinf(in->aim_mpa) || !assb_finite(in->steps_per_s) ? ASSB_BAD_PRESSURE : ASSB_OK;
}

void assb_actuator_reset(const assb_actuator_params *p, assb_actuator_state *s, double gap_um, double pressure_mpa)
{
    static const assb_actuator_state zero;
    *s = zero;
    s->gap_um = gap_um;
    s->home_um = gap_um;
    s->play_mpa = pressure_mpa;
    s->drive_mpa = p->kind == ASSB_PNEUMATIC ? pressure_mpa : 0;
}

/* The set point through the play (Krasnoselskii): it follows only once the aim has crossed the band. Then full slew
 * while the lag alone would ask for more, then exponential: exact for an aim that holds. */
static void move_regulator(const assb_actuator_params *p, assb_actuator_state *s, double aim_mpa, double dt_s)
{
    double half = 0.5 * p->hysteresis_mpa;
    if (!isnan(aim_mpa))
        s->play_mpa = assb_clamp(s->play_mpa, aim_mpa - half, aim_mpa + half);
    double target = assb_clamp(s->play_mpa, 0, p->supply_mpa);
    double behind = target - s->drive_mpa;
    if (behind == 0)
        return;
    double excess = fabs(behind) - p->slew_mpa_s * p->time_constant_s;
    if (excess > 0) {
        double slew_s = excess < p->slew_mpa_s * dt_s ? excess / p->slew_mpa_s : dt_s;
        behind -= copysign(slew_s * p->slew_mpa_s, behind);
        s->drive_mpa = target - behind * assb_exp(-(dt_s - slew_s) / p->time_constant_s);
    } else {
        s->drive_mpa = target - behind * s->keep;
    }
}

/* Beyond friction the piston runs at a speed proportional to the excess, and its own travel removes the excess:
 * d(excess)/dt = -k mobility excess. Below friction it sticks. Without contact it runs freely until it touches. */
static void move_piston(const assb_actuator_params *p, assb_actuator_state *s, double stress_mpa, double stiffness,
                        double dt_s)
{
    double pressure = stress_mpa > 0 ? stress_mpa : 0;
    double excess = pressure - s->drive_mpa;
    if (fabs(excess) <= p->piston_friction_mpa)
        return;
    excess -= copysign(p->piston_friction_mpa, excess);
    double um_per_mpa = s->um_per_mpa;
    if (stress_mpa < 0) {
        double free_um = -stress_mpa / stiffness;
        double um_per_s = -excess * p->piston_um_per_s_mpa;
        if (free_um >= um_per_s * dt_s) {
            s->gap_um -= um_per_s * dt_s;
            return;
        }
        s->gap_um -= free_um;
        um_per_mpa = -assb_expm1(-stiffness * p->piston_um_per_s_mpa * (dt_s - free_um / um_per_s)) / stiffness;
    }
    s->gap_um += excess * um_per_mpa;
}

/* Whole pulses that are due in dt_s: towards the aim, or at the commanded rate. */
static double pulses(const assb_actuator_params *p, assb_actuator_state *s, const assb_actuator_input *in,
                     double stress_mpa, double stiffness, double dt_s)
{
    double most = p->steps_per_s_max * dt_s;
    if (isnan(in->aim_mpa)) {
        s->owed_steps += assb_clamp(in->steps_per_s * dt_s, -most, most);
    } else {
        double error = (stress_mpa > 0 ? stress_mpa : 0) - in->aim_mpa;
        double step_mpa = stiffness * p->um_per_step;
        if (fabs(error) <= p->deadband_mpa || fabs(error) < 0.5 * step_mpa) { /* then no step comes closer */
            s->owed_steps = 0;
            return 0;
        }
        double wanted = copysign(floor(fabs(error) / step_mpa + 0.5), error);
        s->owed_steps = wanted * s->owed_steps > 0 ? s->owed_steps : 0;
        s->owed_steps = assb_clamp(s->owed_steps + assb_clamp(wanted, -most, most), -fabs(wanted), fabs(wanted));
    }
    double due = copysign(floor(fabs(s->owed_steps) + WHOLE), s->owed_steps);
    s->owed_steps -= due;
    return due;
}

/* The most whole steps, up to `steps`, that travel no further than room_um. */
static double within(double steps, double room_um, double um_per_step)
{
    double most = room_um > 0 ? floor(room_um / um_per_step + WHOLE) : 0;
    return steps < most ? steps : most;
}

static void open_gap(const assb_actuator_params *p, assb_actuator_state *s, double steps)
{
    double slack = p->backlash_um - s->backlash_um;
    double moved = within(steps, slack + s->home_um + p->gap_max_um - s->gap_um, p->um_per_step);
    double travel = moved * p->um_per_step;
    double lost = travel < slack ? travel : slack;
    s->at_max = moved < steps;
    s->backlash_um += lost;
    s->gap_um += travel - lost;
    s->steps += moved;
}

/* A switch stops the pulses; a stalled motor does not know that it stands still, and its pulses are counted. */
static void close_gap(const assb_actuator_params *p, assb_actuator_state *s, double steps, double stress_mpa,
                      double stiffness)
{
    double slack = s->backlash_um;
    double sent = within(steps, slack + s->gap_um - s->home_um - p->gap_min_um, p->um_per_step);
    double room_um = (p->stall_mpa - stress_mpa) / stiffness; /* slack asks for no force */
    double moved = within(sent, slack + (room_um > 0 ? room_um : 0), p->um_per_step);
    double travel = moved * p->um_per_step;
    double lost = travel < slack ? travel : slack;
    s->at_min = sent < steps;
    s->stalled = moved < sent;
    s->backlash_um -= lost;
    s->gap_um -= travel - lost;
    s->steps -= sent;
}

static void move_screw(const assb_actuator_params *p, assb_actuator_state *s, const assb_actuator_input *in,
                       double stress_mpa, double stiffness, double dt_s)
{
    double due = pulses(p, s, in, stress_mpa, stiffness, dt_s);
    if (due == 0)
        return; /* the flags stand: of the last move */
    s->at_min = s->at_max = s->stalled = 0;
    if (in->frozen) {
        s->stalled = 1;
        s->steps += due;
    } else if (due > 0) {
        open_gap(p, s, due);
    } else {
        close_gap(p, s, -due, stress_mpa, stiffness);
    }
}

void assb_actuator_step(const assb_actuator_params *p, assb_actuator_state *s, const assb_actuator_input *in,
                        double stress_mpa, double stiffness_mpa_per_um, double dt_s)
{
    if (p->kind == ASSB_PNEUMATIC) {
        if (dt_s != s->weights_dt_s) {
            s->weights_dt_s = dt_s;
            s->keep = assb_exp(-dt_s / p->time_constant_s);
            s->um_per_mpa = -assb_expm1(-stiffness_mpa_per_um * p->piston_um_per_s_mpa * dt_s) / stiffness_mpa_per_um;
        }
        if (!in->frozen)
            move_regulator(p, s, in->aim_mpa, dt_s);
        move_piston(p, s, stress_mpa, stiffness_mpa_per_um, dt_s);
    } else if (p->kind == ASSB_STEPPER) {
        move_screw(p, s, in, stress_mpa, stiffness_mpa_per_um, dt_s);
    }
}
