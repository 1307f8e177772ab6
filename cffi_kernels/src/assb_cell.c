#include "assb_cell.h"

#include "assb_math.h"

#define BOLTZMANN_EV_PER_K 8.617333262e-5 /* CODATA 2018 */
#define SECONDS_PER_HOUR 3600.0
/* Slopes past the ends of the OCV table, V per unit SOC (assumption): steep enough that voltage limits act. */
#define EMPTY_SLOPE_V 40.0
#define FULL_SLOPE_V 5.0
/* Spans that may end by bridging or burn-out; more is chatter below any step worth taking. */
#define SWITCHINGS_MOST 64
#define SHORTED_SOC (1.0 / 64) /* a short moves at most this in one span: its cell may be empty before dt_s is over */
#define SPANS_MOST 256
#define VOIDED_THETA 0.1
/* The laws of temperature and pressure are evaluated in full once in this time, and wherever these shares were left. */
#define LAWS_CLOCK_S (1 - 1e-9)
#define WARMER_MOST 3e-5
#define HARDER_MOST 5e-4

enum { LAST = ASSB_OCV_POINTS - 1 };

/* Where a SOC stands on the axis that the curves share. */
typedef struct {
    int knot;
    double weight;
    double beyond; /* past the end: < 0 when over-empty, > 0 when over-full */
} place;

static place place_of(double soc)
{
    if (!(soc >= 0)) { /* NaN too: it must not become an index */
        place empty = {0, 0, soc < 0 ? soc : 0};
        return empty;
    }
    if (soc >= 1) {
        place full = {LAST - 1, 1, soc - 1};
        return full;
    }
    int knot = (int)(soc * LAST);
    place inside = {knot, soc * LAST - knot, 0};
    return inside;
}

static double on_curve(const double *curve, place where)
{
    return curve[where.knot] + where.weight * (curve[where.knot + 1] - curve[where.knot]);
}

static double cold_per_ev(double core_degc, double per_reference_k)
{
    return (1 / (core_degc + ASSB_KELVIN) - per_reference_k) * (1 / BOLTZMANN_EV_PER_K);
}

static double pressed_mpa(const assb_cell_params *p, double pressure_mpa)
{
    return pressure_mpa > p->contact_floor_mpa ? pressure_mpa : p->contact_floor_mpa;
}

/* Electrolyte and contact, each with its Arrhenius law; the contact falls as a power of the pressure. */
double assb_cell_r0_ohm(const assb_cell_params *p, double core_degc, double pressure_mpa)
{
    double pressed = assb_log(pressed_mpa(p, pressure_mpa) / p->contact_pressure_mpa);
    double cold = cold_per_ev(core_degc, 1 / p->reference_k);
    double contact = p->contact_ohm_cm2 * assb_exp(p->contact_activation_ev * cold - p->contact_exponent * pressed);
    return (p->se_ohm_cm2 * assb_exp(p->se_activation_ev * cold) + contact) / (p->layers * p->layer_area_cm2);
}

static double equilibrium_v(const assb_cell_params *p, place where, double entropy_v_per_k, double core_degc)
{
    double beyond_v = where.beyond * (where.beyond < 0 ? EMPTY_SLOPE_V : FULL_SLOPE_V);
    return on_curve(p->ocv_v, where) + beyond_v + entropy_v_per_k * (core_degc + ASSB_KELVIN - p->reference_k);
}

double assb_cell_ocv_v(const assb_cell_params *p, double soc, double core_degc)
{
    place where = place_of(soc);
    double ocv_v = equilibrium_v(p, where, on_curve(p->entropy_v_per_k, where), core_degc);
    return soc >= 0 || ocv_v > 0 ? ocv_v : 0; /* an empty cell drives nothing */
}

/* OCV, its slopes and the height, all from one place on the SOC axis. */
static void settle_charge(const assb_cell_params *p, assb_cell_state *s)
{
    assb_cell_cache *c = &s->cache;
    place where = place_of(s->soc);
    c->entropy_v_per_k = on_curve(p->entropy_v_per_k, where);
    double warmer_k = s->core_degc + ASSB_KELVIN - p->reference_k;
    double rise_v = p->ocv_v[where.knot + 1] - p->ocv_v[where.knot];
    double ocv_v = p->ocv_v[where.knot] + where.weight * rise_v + c->entropy_v_per_k * warmer_k;
    c->slope_v = LAST * rise_v;
    if (where.beyond != 0) {
        c->slope_v = where.beyond < 0 ? EMPTY_SLOPE_V : FULL_SLOPE_V;
        ocv_v += where.beyond * c->slope_v;
        if (where.beyond < 0 && ocv_v <= 0) {
            ocv_v = 0;
            c->slope_v = 0;
        }
    }
    s->ocv_v = ocv_v + p->hysteresis_v * s->hysteresis;
    c->rc_scale = on_curve(p->rc_factor, where);
    double warm_k = warmer_k + 0.5 * (s->surface_degc - s->core_degc);
    s->height_um = c->swelling_um * (on_curve(p->swelling_frac, where) + where.beyond) + c->void_um * s->theta +
                   p->expansion_um_per_k * warm_k;
}

/* The short draws V Gs inside the terminals, which V itself depends on:
 * V = U + M h - sum Vi - (I + V Gs) R0  =>  V = (U + M h - sum Vi - I R0) / (1 + R0 Gs), I > 0 discharging.
 * Closing a short of Rs drops the terminals by V R0 / (Rs + R0) at once. */
static void solve_voltage(assb_cell_state *s, double current_a)
{
    double open_v = s->cache.behind_v + current_a * s->r0_ohm;
    s->voltage_v = s->short_s > 0 ? open_v / (1 + s->r0_ohm * s->short_s) : open_v;
    s->short_a = s->voltage_v * s->short_s;
}

/* The laws of temperature and pressure in full. */
static ASSB_COLD void evaluate_laws(const assb_cell_params *p, assb_cell_state *s, double pressed)
{
    assb_cell_cache *c = &s->cache;
    c->since_s = 0;
    c->at_k = s->core_degc + ASSB_KELVIN;
    c->per_at_k = 1 / c->at_k;
    c->per_kt_ev = c->per_at_k * (1 / BOLTZMANN_EV_PER_K);
    c->at_mpa = pressed;
    c->per_at_mpa = 1 / pressed;
    c->ln_mpa = assb_log_near(&c->ln_pressure, pressed);
    c->cold_per_ev = cold_per_ev(s->core_degc, c->per_reference_k);
    double of_contact =
        p->contact_activation_ev * c->cold_per_ev - p->contact_exponent * (c->ln_mpa - c->ln_contact_mpa);
    c->contact_ohm_cm2 = p->contact_ohm_cm2 * assb_exp_near(&c->contact, of_contact);
    c->se_ohm_cm2 = p->se_ohm_cm2 * assb_exp_near(&c->se, p->se_activation_ev * c->cold_per_ev);
    if (p->voids.rate_per_s != 0)
        assb_voids_rates(&p->voids, &c->voids, c->ln_mpa - c->ln_strip_mpa);
    if (c->filament_is_on != 0)
        assb_filament_rates(&p->filament, &s->filament, c->ln_mpa - c->ln_filament_mpa, c->cold_per_ev);
    c->rc_factor = assb_exp_near(&c->rc, p->rc_activation_ev * c->cold_per_ev);
}

/* e^x for an x below 1e-3, within 1e-13. */
static double exp_small(double x)
{
    return 1 + x * (1 + x * (0.5 + x * (1.0 / 6)));
}

/* R0 as assb_cell_r0_ohm, with age and with the contact that voids have left, and the scale of the RC pairs. Near the
 * last full evaluation the laws by their series, whose remainder is below 1e-13. */
static void settle_ohms(const assb_cell_params *p, assb_cell_state *s)
{
    assb_cell_cache *c = &s->cache;
    double pressed = pressed_mpa(p, s->pressure_mpa);
    double se = c->se_ohm_cm2, contact = c->contact_ohm_cm2, rc = c->rc_factor;
    double warmer = (s->core_degc + ASSB_KELVIN - c->at_k) * c->per_at_k;
    double harder = (pressed - c->at_mpa) * c->per_at_mpa;
    c->since_s += c->dt_s;
    if (c->since_s < LAWS_CLOCK_S && warmer * warmer < WARMER_MOST * WARMER_MOST &&
        harder * harder < HARDER_MOST * HARDER_MOST) {
        double colder = -c->per_kt_ev * warmer * (1 - warmer * (1 - warmer));
        double ln_harder = harder * (1 - harder * (0.5 - harder * (1.0 / 3)));
        se *= exp_small(p->se_activation_ev * colder);
        contact *= exp_small(p->contact_activation_ev * colder - p->contact_exponent * ln_harder);
        rc *= exp_small(p->rc_activation_ev * colder);
    } else {
        evaluate_laws(p, s, pressed);
        se = c->se_ohm_cm2, contact = c->contact_ohm_cm2, rc = c->rc_factor;
    }
    if (s->theta > 0)
        contact /= 1 - (s->theta < p->voids.theta_max ? s->theta : p->voids.theta_max);
    s->r0_ohm = (se + contact) * c->ohm_per_ohm_cm2;
    c->rc_scale *= (1 + s->ageing.resistance_growth_frac) * rc;
}

/* All that follows from the state; the next step starts from it. */
static void settle(const assb_cell_params *p, assb_cell_state *s)
{
    settle_charge(p, s);
    settle_ohms(p, s);
    s->cache.behind_v = s->ocv_v - (s->rc_v[0] + s->rc_v[1] + s->rc_v[2]);
}

static ASSB_COLD void keep_dt(const assb_cell_params *p, assb_cell_cache *c, double dt_s)
{
    c->dt_s = dt_s;
    c->per_s = 1 / dt_s;
    c->lag_ohm = 0;
    for (int k = 0; k < ASSB_RC_PAIRS; k++) {
        double gone = -assb_expm1(-dt_s / p->rc_tau_s[k]);
        c->keep[k] = 1 - gone;
        c->rise[k] = p->rc_ohm[k] * gone;
        c->mean[k] = assb_mean_decay(dt_s / p->rc_tau_s[k]);
        c->lag_ohm += p->rc_ohm[k] * (1 - c->mean[k]);
    }
    /* backward Euler: no step is too long for it */
    double link = p->core_surface_w_per_k;
    c->core_w_per_k = p->core_j_per_k / dt_s;
    c->surface_w_per_k = p->surface_j_per_k / dt_s;
    double core = c->core_w_per_k + link;
    double surface = c->surface_w_per_k + p->surface_ambient_w_per_k + link;
    double determinant = core * surface - link * link;
    c->core_by_core = surface / determinant;
    c->core_by_surface = link / determinant;
    c->surface_by_surface = core / determinant;
}

/* What a change of capacity or resistance moves. */
static ASSB_COLD void keep_age(const assb_cell_params *p, assb_cell_state *s)
{
    assb_cell_cache *c = &s->cache;
    s->capacity_ah = p->capacity_ah * (1 - s->ageing.capacity_loss_frac);
    c->soc_per_as = 1 / (SECONDS_PER_HOUR * s->capacity_ah);
    c->swelling_um = p->swelling_um_per_mah_cm2 * 1000 * s->capacity_ah / p->layer_area_cm2;
    c->ohm_per_ohm_cm2 = (1 + s->ageing.resistance_growth_frac) / (p->layers * p->layer_area_cm2);
}

static ASSB_COLD void keep_parameters(const assb_cell_params *p, assb_cell_state *s)
{
    assb_cell_cache *c = &s->cache;
    for (int k = 0; k < ASSB_RC_PAIRS; k++)
        c->rc_farad[k] = p->rc_tau_s[k] / p->rc_ohm[k];
    c->since_s = LAWS_CLOCK_S; /* due */
    c->void_um = p->layers * p->voids.height_um;
    c->ma_cm2_per_a = 1000 / (p->layers * p->layer_area_cm2);
    c->per_reference_k = 1 / p->reference_k;
    c->ln_contact_mpa = assb_log(p->contact_pressure_mpa);
    c->ln_strip_mpa = assb_log(p->voids.strip_pressure_mpa);
    c->ln_filament_mpa = assb_log(p->filament.pressure_mpa);
    c->filament_is_on = assb_filament_is_on(&p->filament);
    c->ageing_is_on = assb_ageing_is_on(&p->ageing);
    keep_age(p, s);
}

/* Charge, hysteresis and RC pairs over the cached dt_s with the mean inner current held; returns the heat in W.
 *
 * The mean voltage over the step is linear in the current, and the short's current in that voltage, so both are solved
 * together: V (1 + Z Gs) = B + I Z with Z = R0 + sum Rk (1 - mean_k) + dU/dSOC dt/(7200 Q). Second order in dt, and
 * stable for any. All heat is what went in at that mean voltage less what is stored, so energy closes as long as the
 * OCV is straight over the SOC moved; across knots of its table it closes to second order in that SOC (docs/model.md).
 * Heat after Bernardi, Pawlikowski, Newman 1985, doi:10.1149/1.2113792: overvoltages, hysteresis and -I T dU/dT. */
static double move_charge(const assb_cell_params *p, assb_cell_state *s, double current_a, double short_s)
{
    assb_cell_cache *c = &s->cache;
    double per_soc = c->dt_s * c->soc_per_as;
    double left_v = s->rc_v[0] * c->mean[0] + s->rc_v[1] * c->mean[1] + s->rc_v[2] * c->mean[2];
    double lag_ohm = c->lag_ohm * c->rc_scale;
    double z_ohm = 0.5 * c->slope_v * per_soc + lag_ohm + s->r0_ohm;
    double mean_v = s->ocv_v - left_v + current_a * z_ohm;
    double inner_a = -current_a;
    double short_w = 0;
    if (short_s > 0) { /* a branch, so that without one the voltage is not waited for */
        double shorted = 1 + z_ohm * short_s;
        mean_v /= shorted > 0.5 ? shorted : 0.5; /* an OCV that falls with SOC may not turn the sign in a long step */
        inner_a += mean_v * short_s;
        short_w = mean_v * mean_v * short_s;
    }
    double moved = inner_a * per_soc;

    double rc_heat_v = left_v + inner_a * lag_ohm;
    double scaled_a = c->rc_scale * inner_a;
    s->rc_v[0] = c->keep[0] * s->rc_v[0] + c->rise[0] * scaled_a;
    s->rc_v[1] = c->keep[1] * s->rc_v[1] + c->rise[1] * scaled_a;
    s->rc_v[2] = c->keep[2] * s->rc_v[2] + c->rise[2] * scaled_a;
    double stored = c->rc_farad[0] * s->rc_v[0] * s->rc_v[0] + c->rc_farad[1] * s->rc_v[1] * s->rc_v[1] +
                    c->rc_farad[2] * s->rc_v[2] * s->rc_v[2];
    double stored_j = 0.5 * stored / c->rc_scale;
    double reversible_v = (s->core_degc + ASSB_KELVIN) * c->entropy_v_per_k + p->hysteresis_v * s->hysteresis;
    double heat_w = short_w + inner_a * (rc_heat_v - reversible_v) - (stored_j - s->stored_j) * c->per_s +
                    inner_a * inner_a * s->r0_ohm;
    s->stored_j = stored_j;
    s->mean_voltage_v = mean_v;
    c->inner_a = inner_a;
    s->soc -= moved;
    double size = moved < 0 ? -moved : moved;
    s->hysteresis += ((moved < 0) - (moved > 0) - s->hysteresis) * -assb_expm1(-p->hysteresis_rate * size);
    s->ageing.throughput_ah += size * s->capacity_ah;
    return heat_w;
}

static double held(double degc)
{
    double warm_degc = degc > ASSB_COLDEST_DEGC ? degc : ASSB_COLDEST_DEGC; /* NaN too */
    return warm_degc < ASSB_HOTTEST_DEGC ? warm_degc : ASSB_HOTTEST_DEGC;
}

/* Core and surface: a 2 x 2 system, its inverse cached. */
static void move_heat(const assb_cell_params *p, assb_cell_state *s, const assb_cell_input *in, double heat_w)
{
    const assb_cell_cache *c = &s->cache;
    double room_degc = in->ambient_degc + p->ambient_offset_k;
    double core_w = heat_w + c->core_w_per_k * s->core_degc;
    double surface_w = in->heater_w + c->surface_w_per_k * s->surface_degc + p->surface_ambient_w_per_k * room_degc;
    s->core_degc = held(c->core_by_core * core_w + c->core_by_surface * surface_w);
    s->surface_degc = held(c->core_by_surface * core_w + c->surface_by_surface * surface_w);
}

static void move_voids(const assb_cell_params *p, assb_cell_state *s, double dt_s)
{
    assb_cell_cache *c = &s->cache;
    double inner_a = c->inner_a;
    double stripping_a = p->voids.both_ways != 0 && inner_a < 0 ? -inner_a : inner_a;
    if (p->voids.rate_per_s == 0 || (s->theta == 0 && stripping_a <= 0))
        return;
    double before = s->theta;
    double stripping_ma_cm2 = stripping_a * c->ma_cm2_per_a;
    s->theta = assb_voids_step(&p->voids, &c->voids, before, stripping_ma_cm2, dt_s);
    if (before < VOIDED_THETA && s->theta >= VOIDED_THETA)
        assb_told_note(&s->told, ASSB_VOIDED, s->theta);
}

static assb_filament_move move_filament(const assb_cell_params *p, assb_cell_state *s, const assb_cell_input *in,
                                        double dt_s, int may_switch)
{
    const assb_cell_cache *c = &s->cache;
    double open_v = c->behind_v + in->current_a * s->r0_ohm;
    double short_s = s->filament.short_s + in->short_s;
    double plating_a = in->current_a;
    if (short_s > 0)
        plating_a -= short_s * open_v / (1 + s->r0_ohm * short_s);
    if (p->filament.both_ways != 0 && plating_a < 0)
        plating_a = -plating_a;
    assb_filament_drive drive = {plating_a * c->ma_cm2_per_a, s->theta, open_v, s->r0_ohm, in->short_s};
    return assb_filament_step(&p->filament, &s->filament, &drive, dt_s, may_switch, &s->told);
}

/* dt_s, or less where a short would take so much charge that the OCV is another one. */
static ASSB_COLD double shorted_span_s(const assb_cell_state *s, const assb_cell_input *in, double dt_s)
{
    double short_s = s->filament.short_s + in->short_s;
    double open_v = s->cache.behind_v + in->current_a * s->r0_ohm;
    double soc_per_s = s->cache.soc_per_as * short_s * open_v / (1 + s->r0_ohm * short_s);
    double size = soc_per_s < 0 ? -soc_per_s : soc_per_s;
    return size * dt_s > SHORTED_SOC ? SHORTED_SOC / size : dt_s;
}

/* What the span has told happened at its end. */
static void date_told(assb_told *told, int first, double span_s)
{
    told->gone_s += span_s;
    for (int k = first; k < told->count; k++)
        told->event[k].after_s = told->gone_s;
}

/* One span in which no filament bridges or burns out; returns how long it was. */
static double move_span(const assb_cell_params *p, assb_cell_state *s, const assb_cell_input *in, double dt_s,
                        int spans, double *heat_w)
{
    if (s->filament.short_s + in->short_s > 0 && spans < SPANS_MOST)
        dt_s = shorted_span_s(s, in, dt_s);
    assb_filament_move own = {dt_s, 0};
    int told = s->told.count;
    if (s->cache.filament_is_on != 0)
        own = move_filament(p, s, in, dt_s, spans < SWITCHINGS_MOST);
    s->pressure_mpa = in->pressure_mpa;
    s->short_s = s->filament.short_s + in->short_s;
    *heat_w = 0;
    if (own.span_s >= ASSB_DT_LEAST_S) {
        if (own.span_s != s->cache.dt_s)
            keep_dt(p, &s->cache, own.span_s);
        *heat_w = move_charge(p, s, in->current_a, own.short_s + in->short_s);
        move_voids(p, s, own.span_s);
        move_heat(p, s, in, *heat_w);
    }
    settle(p, s);
    date_told(&s->told, told, own.span_s);
    return own.span_s;
}

/* The further spans of a step that takes more than one: means are those over all of them. */
static ASSB_COLD void move_rest(const assb_cell_params *p, assb_cell_state *s, const assb_cell_input *in, double dt_s,
                                double gone_s, double heat_w)
{
    double volt_s = s->mean_voltage_v * gone_s;
    double heat_j = heat_w * gone_s;
    for (int spans = 1; dt_s - gone_s >= ASSB_DT_LEAST_S; spans++) {
        double span_s = move_span(p, s, in, dt_s - gone_s, spans, &heat_w);
        volt_s += s->mean_voltage_v * span_s;
        heat_j += heat_w * span_s;
        gone_s += span_s;
    }
    s->mean_voltage_v = volt_s / dt_s;
    s->heat_w = heat_j / dt_s;
}

static void grow_old(const assb_cell_params *p, assb_cell_state *s, double dt_s)
{
    s->ageing.waiting_s += dt_s;
    if (s->ageing.waiting_s < ASSB_AGEING_CLOCK_S)
        return;
    assb_ageing_move(&p->ageing, &s->ageing, s->soc, s->cache.cold_per_ev, p->capacity_ah);
    keep_age(p, s);
}

void assb_cell_move(const assb_cell_params *p, assb_cell_state *s, const assb_cell_input *in, double dt_s)
{
    s->told.count = s->told.untold = 0;
    s->told.gone_s = 0;
    double gone_s = move_span(p, s, in, dt_s, 0, &s->heat_w);
    if (gone_s < dt_s)
        move_rest(p, s, in, dt_s, gone_s, s->heat_w);
    if (s->cache.ageing_is_on != 0)
        grow_old(p, s, dt_s);
    solve_voltage(s, in->current_a);
}

int assb_cell_step(const assb_cell_params *p, assb_cell_state *s, const assb_cell_input *in, double dt_s)
{
    int status = assb_cell_input_status(in, dt_s);
    if (status == ASSB_OK)
        assb_cell_move(p, s, in, dt_s);
    return status;
}

static assb_cell_line outlook(const assb_cell_state *s, const assb_cell_cache *c)
{
    double behind_v = s->ocv_v;
    double z_ohm = s->r0_ohm + (c->slope_v > 0 ? c->slope_v * c->dt_s * c->soc_per_as : 0);
    for (int k = 0; k < ASSB_RC_PAIRS; k++) {
        behind_v -= s->rc_v[k] * c->keep[k];
        z_ohm += c->rise[k] * c->rc_scale;
    }
    double shorted = 1 + z_ohm * s->short_s;
    assb_cell_line line = {behind_v / shorted, z_ohm / shorted};
    return line;
}

assb_cell_line assb_cell_outlook(const assb_cell_params *p, const assb_cell_state *s, double dt_s)
{
    if (dt_s == s->cache.dt_s)
        return outlook(s, &s->cache);
    assb_cell_cache other = s->cache;
    keep_dt(p, &other, dt_s);
    return outlook(s, &other);
}

int assb_cell_reset(const assb_cell_params *p, assb_cell_state *s, double soc, double temperature_degc,
                    double pressure_mpa, uint64_t seed, uint64_t stream)
{
    static const assb_cell_state zero;
    int status = assb_cell_start_status(soc, temperature_degc, pressure_mpa);
    if (status != ASSB_OK)
        return status;
    *s = zero;
    s->soc = soc;
    s->core_degc = temperature_degc;
    s->surface_degc = temperature_degc;
    s->pressure_mpa = pressure_mpa;
    assb_filament_reset(&s->filament, seed, stream);
    keep_parameters(p, s);
    settle(p, s);
    solve_voltage(s, 0);
    s->mean_voltage_v = s->voltage_v;
    return ASSB_OK;
}
