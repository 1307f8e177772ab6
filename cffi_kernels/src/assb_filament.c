#include "assb_filament.h"

#include "assb_math.h"

/* While a bridge is this unlikely, its hazard is counted on a slow clock (less a rounding); else at every step. */
#define CALM_PER_S 1e-3
#define HAZARD_CLOCK_S (1 - 1e-9)
#define SHORT_MOST_S 1e6 /* a bridge's conductance grows no further: 1 microohm */

int assb_filament_is_on(const assb_filament_params *p)
{
    return p->growth_per_s > 0 || p->creep_per_s[0] > 0 || p->creep_per_s[1] > 0 || p->bridge_per_s > 0;
}

int assb_filament_check(const assb_filament_params *p)
{
    const double not_below_zero[] = {p->growth_per_s,     p->void_focus,    p->creep_per_s[0],  p->creep_per_s[1],
                                     p->healing_per_s,    p->bridge_per_s,  p->bridge_exponent, p->bridge_sigma_ln,
                                     p->burn_median_j,    p->burn_sigma_ln, p->burn_window_s,   p->burnt_length,
                                     1 - p->burnt_length, p->deepen_per_s};
    for (unsigned k = 0; k < sizeof not_below_zero / sizeof *not_below_zero; k++)
        if (!(not_below_zero[k] >= 0))
            return ASSB_BAD_PARAMETER;
    int has_reference = p->ccd_ma_cm2 > 0 && p->pressure_mpa > 0;
    int has_bridge = p->bridge_per_s == 0 || p->bridge_median_ohm > 0;
    int has_burn = p->burn_median_j == 0 || p->burn_window_s > 0;
    int is_fine = !assb_filament_is_on(p) || (has_reference && has_bridge && has_burn);
    return is_fine ? ASSB_OK : ASSB_BAD_PARAMETER;
}

void assb_filament_reset(assb_filament_state *s, uint64_t seed, uint64_t stream)
{
    static const assb_filament_state zero;
    *s = zero;
    assb_random_seed(&s->random, seed, stream);
    s->bridge_at = assb_random_exponential(&s->random);
}

void assb_told_note(assb_told *told, enum assb_event_kind kind, double value)
{
    int room = kind == ASSB_HARD_SHORT ? ASSB_TOLD_MOST : ASSB_TOLD_MOST - 1;
    if (told->count >= room) {
        told->untold++;
        return;
    }
    told->event[told->count].kind = kind;
    told->event[told->count].value = value;
    told->count++;
}

static double lognormal(assb_random *random, double median, double sigma_ln)
{
    return median * assb_exp(sigma_ln * assb_random_normal(random));
}

/* length^exponent; the usual whole exponents by multiplication. */
static double power_of_length(double length, double exponent)
{
    int whole = exponent <= 16 ? (int)exponent : 0;
    if (whole != exponent || whole == 0)
        return exponent == 0 ? 1 : length > 0 ? assb_pow(length, exponent) : 0;
    double result = 1;
    for (double square = length; whole > 0; whole >>= 1, square *= square)
        if (whole & 1)
            result *= square;
    return result;
}

/* Mean of length^n over a straight run from one length to another, which may be beyond 1: there it stays at 1. */
static double mean_power(double from, double to, double n)
{
    double run = to - from;
    if (to > 1 && run > 0) {
        double share = (1 - from) / run;
        return (share > 0 ? share * mean_power(from, 1, n) : 0) + 1 - share;
    }
    if (!(run > 0.01 * to || run < -0.01 * to)) /* 0 to 0, too */
        return power_of_length(0.5 * (from + to), n);
    return (to * power_of_length(to, n) - from * power_of_length(from, n)) / ((n + 1) * run);
}

/* Below this length the hazard is less than CALM_PER_S. */
static double calm_length(const assb_filament_params *p)
{
    double share = p->bridge_per_s > 0 ? CALM_PER_S / p->bridge_per_s : 1;
    if (share >= 1)
        return 2; /* beyond any length */
    return p->bridge_exponent > 0 ? assb_exp(assb_log(share) / p->bridge_exponent) : 0;
}

/* CCD = ccd (P/P0)^n exp(-E/kB (1/T - 1/Tref)); g(P) is the sum of its terms. */
void assb_filament_rates(const assb_filament_params *p, assb_filament_state *s, double pressed, double cold_per_ev)
{
    double lowered = assb_exp_near(&s->ccd, p->ccd_activation_ev * cold_per_ev - p->ccd_pressure_exponent * pressed);
    if (!(s->calm_length > 0))
        s->calm_length = calm_length(p);
    s->per_ccd_cm2_ma = lowered / p->ccd_ma_cm2;
    s->creep_per_s = 0;
    for (int k = 0; k < ASSB_CREEP_TERMS; k++)
        if (p->creep_per_s[k] > 0)
            s->creep_per_s += p->creep_per_s[k] * assb_exp_near(&s->creep[k], p->creep_exponent[k] * pressed);
}

/* length' = c (local current/CCD - 1)+ + g(P) - healing, the last one only while nothing plates.
 * Unbounded: grow() cuts it at 1. */
static double length_after(const assb_filament_params *p, const assb_filament_state *s, const assb_filament_drive *d,
                           double dt_s)
{
    double length = s->length;
    if (d->plating_ma_cm2 > 0) {
        double beyond = d->plating_ma_cm2 * s->per_ccd_cm2_ma * (1 + p->void_focus * d->theta) - 1;
        length += (s->creep_per_s + p->growth_per_s * (beyond > 0 ? beyond : 0)) * dt_s;
    } else {
        length += (s->creep_per_s - p->healing_per_s * length) * dt_s * assb_mean_decay(p->healing_per_s * dt_s);
    }
    return length > 0 ? length : 0; /* rounding may not leave less than nothing */
}

static void note_hard(assb_filament_state *s, double r0_ohm, assb_told *told)
{
    if (s->is_hard != 0 || s->short_s * r0_ohm <= 1)
        return;
    s->is_hard = 1;
    assb_told_note(told, ASSB_HARD_SHORT, 1 / s->short_s);
}

static ASSB_COLD void bridge(const assb_filament_params *p, assb_filament_state *s, double r0_ohm, assb_told *told)
{
    s->short_s = 1 / lognormal(&s->random, p->bridge_median_ohm, p->bridge_sigma_ln);
    s->short_s = s->short_s < SHORT_MOST_S ? s->short_s : SHORT_MOST_S;
    s->burn_at_j = p->burn_median_j > 0 ? lognormal(&s->random, p->burn_median_j, p->burn_sigma_ln) : 0;
    s->bridge_at = assb_random_exponential(&s->random);
    s->hazard = 0;
    s->energy_j = 0;
    s->deepened_at_s = 2 * s->short_s;
    s->bridges += 1;
    assb_told_note(told, ASSB_BRIDGE, 1 / s->short_s);
    note_hard(s, r0_ohm, told);
}

static ASSB_COLD void burn_out(const assb_filament_params *p, assb_filament_state *s, assb_told *told)
{
    assb_told_note(told, ASSB_BURN_OUT, s->burn_at_j);
    s->short_s = 0;
    s->energy_j = 0;
    s->burn_at_j = 0;
    s->burn_outs += 1;
    s->length = s->length < p->burnt_length ? s->length : p->burnt_length;
    s->hazard_from = s->length;
}

/* The hazard since it was last counted, and where in the last dt_s it bridges, if it does. */
static ASSB_COLD assb_filament_move count_hazard(const assb_filament_params *p, assb_filament_state *s,
                                                 const assb_filament_drive *d, double after, double dt_s,
                                                 int may_switch, assb_told *told)
{
    assb_filament_move move = {dt_s, 0};
    double hazard = 0;
    if (p->bridge_per_s > 0)
        hazard = p->bridge_per_s * s->waiting_s * mean_power(s->hazard_from, after, p->bridge_exponent);
    if (!may_switch || s->hazard + hazard < s->bridge_at) {
        s->length = after < 1 ? after : 1;
        s->hazard += hazard;
    } else {
        double share = s->hazard < s->bridge_at ? (s->bridge_at - s->hazard) / hazard : 0;
        double to_go_s = (1 - share) * s->waiting_s;
        move.span_s = to_go_s < dt_s ? dt_s - to_go_s : 0;
        double reached = s->length + move.span_s / dt_s * (after - s->length);
        s->length = reached < 1 ? reached : 1;
        bridge(p, s, d->r0_ohm, told);
    }
    s->hazard_from = s->length;
    s->waiting_s = 0;
    return move;
}

static assb_filament_move grow(const assb_filament_params *p, assb_filament_state *s, const assb_filament_drive *d,
                               double dt_s, int may_switch, assb_told *told)
{
    assb_filament_move move = {dt_s, 0};
    double after = length_after(p, s, d, dt_s);
    s->waiting_s += dt_s;
    if (after >= s->calm_length || s->waiting_s >= HAZARD_CLOCK_S)
        return count_hazard(p, s, d, after, dt_s, may_switch, told);
    s->length = after < 1 ? after : 1;
    return move;
}

/* E' = V^2 G - E/tau with the voltage across the bridge held: where it crosses burn_at_j, or dt_s if it does not. */
static double burning_s(const assb_filament_params *p, const assb_filament_state *s, double power_w, double dt_s)
{
    double end_j = power_w * p->burn_window_s;
    if (s->burn_at_j == 0 || s->is_hard != 0 || end_j <= s->burn_at_j)
        return dt_s;
    double left_s = p->burn_window_s * assb_log((end_j - s->energy_j) / (end_j - s->burn_at_j));
    return left_s < dt_s ? (left_s > 0 ? left_s : 0) : dt_s;
}

static void note_deepening(assb_filament_state *s, double r0_ohm, assb_told *told)
{
    if (s->short_s >= s->deepened_at_s)
        assb_told_note(told, ASSB_DEEPENED, 1 / s->short_s);
    while (s->short_s >= s->deepened_at_s)
        s->deepened_at_s *= 2;
    note_hard(s, r0_ohm, told);
}

static ASSB_COLD assb_filament_move stand(const assb_filament_params *p, assb_filament_state *s,
                                          const assb_filament_drive *d, double dt_s, int may_switch, assb_told *told)
{
    double rate_per_s = 0;
    note_hard(s, d->r0_ohm, told); /* R0 moves too: it rises in the cold */
    if (p->deepen_per_s > 0 && d->plating_ma_cm2 > 0)
        rate_per_s = p->deepen_per_s * d->plating_ma_cm2 * s->per_ccd_cm2_ma;
    double across_v = d->behind_v / (1 + d->r0_ohm * (s->short_s + d->outside_s));
    double power_w = across_v * across_v * s->short_s;
    assb_filament_move move = {may_switch ? burning_s(p, s, power_w, dt_s) : dt_s, s->short_s};
    double folds = rate_per_s * move.span_s;
    if (folds > 0) {
        double room = assb_log(SHORT_MOST_S / s->short_s);
        folds = folds < room ? folds : room;
        double grown = assb_expm1(folds);
        move.short_s = folds > 0 ? s->short_s * (grown / folds) : s->short_s;
        s->short_s += s->short_s * grown;
        note_deepening(s, d->r0_ohm, told);
    }
    if (move.span_s < dt_s) {
        burn_out(p, s, told);
    } else if (p->burn_window_s > 0) {
        double end_j = power_w * p->burn_window_s;
        s->energy_j += (end_j - s->energy_j) * -assb_expm1(-dt_s / p->burn_window_s);
    }
    return move;
}

assb_filament_move assb_filament_step(const assb_filament_params *p, assb_filament_state *s,
                                      const assb_filament_drive *drive, double dt_s, int may_switch, assb_told *told)
{
    return s->short_s > 0 ? stand(p, s, drive, dt_s, may_switch, told) : grow(p, s, drive, dt_s, may_switch, told);
}
