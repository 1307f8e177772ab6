/* A battery cycler that obeys enable lines and current limits, late, as real ones do: the lines go through an input
 * filter, limits from telemetry through its own controller. When limits stop coming it stops by itself. It holds a
 * voltage ceiling when it charges and a floor when it discharges. + charges.
 */
#ifndef ASSB_CYCLER_H
#define ASSB_CYCLER_H
#include "assb_pack.h"

/* cdef begin */
typedef struct {
    double enable_delay_s;  /* an enable line acts once it has stood for this long */
    double limit_delay_s;   /* a limit acts this long after it came */
    double limit_timeout_s; /* no current once the newest limit is older */
    double slew_a_per_s;    /* 0: at once */
    double current_max_a;
} assb_cycler_params;

typedef struct {
    double at_s; /* when it acts */
    double charge_a, discharge_a;
} assb_cycler_limit;

typedef struct {
    int enabled;      /* as the cycler takes it */
    double changed_s; /* when the line went to the other level; infinite: it stands as taken */
} assb_cycler_line;

typedef struct {
    double current_a;
    double time_s;
    assb_cycler_line charge, discharge;
    double charge_limit_a, discharge_limit_a;     /* that act */
    assb_cycler_limit coming[ASSB_CYCLER_COMING]; /* oldest first; more than these: the newest replaces the last */
    int coming_count;
} assb_cycler_state;

typedef struct {
    double wanted_a;
    double voltage_max_v, voltage_min_v; /* ceiling and floor of the whole pack; infinite: none */
    double unit_max_v, unit_min_v;       /* of each cell, where the cycler sees taps; infinite: none */
    int charge_enabled, discharge_enabled;
    double charge_limit_a, discharge_limit_a; /* magnitudes */
    double limit_age_s;                       /* of the newest limit */
    int connected;                            /* 0: no current, at once */
} assb_cycler_input;

int assb_cycler_check(const assb_cycler_params *params);
/* No current; both lines are taken to be off, both limits 0. */
void assb_cycler_reset(assb_cycler_state *state);
/* wanted_a held below the ceilings (when it charges) and above the floors (when it discharges) at the end of dt_s. */
double assb_cycler_held_a(const assb_cycler_input *in, const assb_pack *pack, double dt_s);
/* wanted_a as the slew rate and the largest current allow after dt_s at before_a. */
double assb_cycler_follow_a(const assb_cycler_params *params, double before_a, double wanted_a, double dt_s);
/* The current of the next dt_s into *current_a; a line or limit that changes with this call acts from its delay after
 * the begin of this dt_s on. A negative status changes nothing. */
int assb_cycler_step(const assb_cycler_params *params, assb_cycler_state *state, const assb_cycler_input *in,
                     const assb_pack *pack, double dt_s, double *current_a);
/* cdef end */

#endif
