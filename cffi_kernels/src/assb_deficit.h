/* By how much a voltage lies below that of a cell that lost no charge: the raw matter of evidence 3. Included by
 * assb_detection.c; see the twin, detection/deficit.py. */

#define SLOWER ((real)8) /* a third pair, of diffusion, over the second one's time (assumption) */

/* At a temperature; the axis is full. */
static real along_temperature(const params_t *cell, const real *table, real temperature_degc)
{
    const real *axis = cell->r0_temperature_degc;
    int t = 0;
    while (t < ASSB_TEMPERATURE_POINTS - 2 && temperature_degc >= axis[t + 1])
        t++;
    real fraction = clamp((temperature_degc - axis[t]) / (axis[t + 1] - axis[t]), 0, 1);
    return table[t] + fraction * (table[t + 1] - table[t]);
}

/* All that lies between OCV and terminals. */
real ASSB_EST(loop_ohm)(const params_t *cell, const state_t *state, real temperature_degc)
{
    return state->r0_ohm + state->resistance_scale * (along_temperature(cell, cell->r1_ohm, temperature_degc) +
                                                      along_temperature(cell, cell->r2_ohm, temperature_degc));
}

/* A reading within the sensor's error is taken for none: at rest an open contactor lets nothing through. */
static real flowing_a(const detection_params_t *q, const params_t *cell, real current_a)
{
    return magnitude(current_a) < 2 * q->charge_offset_c * cell->capacity_ah ? 0 : current_a;
}

/* Every sample: a ripple, too, turns the hysteresis. */
static void turn_loop(const params_t *cell, detection_t *d, const state_t *state, real current_a, real dt_s)
{
    ASSB_EST(charge_evidence) *c = &d->charge;
    real sign = current_a > 0 ? 1 : current_a < 0 ? -1 : 0;
    real turn = cell->hysteresis_rate * magnitude(current_a) * dt_s / ((real)3600 * capacity_ah(cell, state));
    turn = turn / (1 + turn);
    c->open_hysteresis = c->open_hysteresis + turn * (sign - c->open_hysteresis);
    c->driven = c->driven + turn * (1 - c->driven);
}

/* The model of a cell without a leak: the current alone drives it. Returns by how much the voltage lies below it. */
static real find_deficit(const params_t *cell, detection_t *d, const state_t *state, const sample_t *in, real current_a)
{
    ASSB_EST(charge_evidence) *c = &d->charge;
    real factor = table_at(cell->rc_factor, state->soc);
    real r1_ohm = factor * along_temperature(cell, cell->r1_ohm, in->temperature_degc);
    c->ohm = state->r0_ohm / state->resistance_scale;
    c->fast_ohm = c->ohm + r1_ohm;
    c->slow_ohm = factor * along_temperature(cell, cell->r2_ohm, in->temperature_degc);
    c->open1_v = c->open1_v + share(in->dt_s, cell->tau1_s) * (r1_ohm * current_a - c->open1_v);
    c->open2_v = c->open2_v + share(in->dt_s, cell->tau2_s) * (c->slow_ohm * current_a - c->open2_v);
    c->open3_v = c->open3_v + share(in->dt_s, SLOWER * cell->tau2_s) * (c->slow_ohm * current_a - c->open3_v);
    real table_v = table_at(cell->ocv_v, state->soc), slope_v = table_at(cell->docv_v, state->soc);
    real whole = state->soc + state->soc_residual;
    if (c->table_known > 0) { /* there and back again leaves nothing behind */
        real brought = (current_a != 0 ? d->counted : 0) - d->rose + (whole - c->soc_then);
        c->shown_v = c->shown_v + ((real)0.5 * (c->slope_then_v + slope_v) * brought - (table_v - c->table_then_v));
    }
    c->table_known = 1;
    c->soc_then = whole;
    c->table_then_v = table_v;
    c->slope_then_v = slope_v;
    real ocv_v = table_v + cell->entropy_v_per_k * (in->temperature_degc - cell->ocv_temperature_degc);
    real polarised_v = cell->hysteresis_v * c->open_hysteresis + (c->open1_v + c->open2_v);
    return c->shown_v + (ocv_v + (polarised_v + c->ohm * current_a) - in->voltage_v);
}
