/* The estimator's kernel as a MicroPython native module: buffers in, status codes out.
 *
 * Each function takes the caller's buffers and keeps nothing. Parameters, state and samples are arrays of 32-bit
 * floats; a buffer that is too short, not writable or not aligned raises ValueError before the kernel sees it.
 * firmware/assb/estimation/kernel.py is the face that the application uses.
 *
 *     EST_STATE_FLOATS                                      length of a state
 *     est_check(params)                                     status
 *     est_reset(params, state, soc, soc_sigma)              status
 *     est_rested_soc(params, voltage_v, temperature_degc)   SOC
 *     est_predict(params, state, sample)                    status
 *     est_step(params, state, sample)                       status
 *
 * params: the flat layout, the filter's rows first; sample: voltage_v, current_a, temperature_degc, pressure_mpa, dt_s.
 *
 * Another part of the kernel is three things: its _f32.c in the Makefile's SRC, a wrapper here, a line in mpy_init.
 */
#define ASSB_PRECISION 32
#include "assb_estimator.h"
#include "assb_learning.h"
#include "assb_power.h"
#include "assb_detection.h"

#include "py/dynruntime.h"

#define DETECTION_TOLD (2 * ASSB_EVIDENCES + 9)

/* The float buffer behind an object, with at least `bytes` in it. */
static void *floats(mp_obj_t object, size_t bytes, mp_uint_t access)
{
    mp_buffer_info_t buffer;
    mp_get_buffer_raise(object, &buffer, access);
    if (buffer.len < bytes)
        mp_raise_ValueError("buffer too short");
    if ((uintptr_t)buffer.buf % sizeof(float) != 0)
        mp_raise_ValueError("buffer not aligned"); /* a Cortex-M0+ faults on it */
    return buffer.buf;
}

static const assb_est_f32_params *params_of(mp_obj_t object)
{
    return floats(object, sizeof(assb_est_f32_params), MP_BUFFER_READ);
}

static assb_est_f32_state *state_of(mp_obj_t object)
{
    return floats(object, sizeof(assb_est_f32_state), MP_BUFFER_RW);
}

static const assb_est_f32_sample *sample_of(mp_obj_t object)
{
    return floats(object, sizeof(assb_est_f32_sample), MP_BUFFER_READ);
}

/* The groups of the flat layout follow each other. */
static const assb_est_f32_learning_params *learning_params_of(mp_obj_t object)
{
    const char *flat =
        floats(object, sizeof(assb_est_f32_params) + sizeof(assb_est_f32_learning_params), MP_BUFFER_READ);
    return (const void *)(flat + sizeof(assb_est_f32_params));
}

static const assb_est_f32_power_params *power_params_of(mp_obj_t object)
{
    size_t before = sizeof(assb_est_f32_params) + sizeof(assb_est_f32_learning_params);
    const char *flat = floats(object, before + sizeof(assb_est_f32_power_params), MP_BUFFER_READ);
    return (const void *)(flat + before);
}

static assb_est_f32_learning *learning_of(mp_obj_t object)
{
    return floats(object, sizeof(assb_est_f32_learning), MP_BUFFER_RW);
}

static mp_obj_t est_check(mp_obj_t params)
{
    return mp_obj_new_int(assb_est_f32_check(params_of(params)));
}
static MP_DEFINE_CONST_FUN_OBJ_1(est_check_obj, est_check);

static mp_obj_t est_reset(size_t count, const mp_obj_t *args)
{
    (void)count;
    float soc = mp_obj_get_float_to_f(args[2]), soc_sigma = mp_obj_get_float_to_f(args[3]);
    return mp_obj_new_int(assb_est_f32_reset(params_of(args[0]), state_of(args[1]), soc, soc_sigma));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(est_reset_obj, 4, 4, est_reset);

static mp_obj_t est_rested_soc(mp_obj_t params, mp_obj_t voltage_v, mp_obj_t temperature_degc)
{
    float volt = mp_obj_get_float_to_f(voltage_v), degc = mp_obj_get_float_to_f(temperature_degc);
    return mp_obj_new_float_from_f(assb_est_f32_rested_soc(params_of(params), volt, degc));
}
static MP_DEFINE_CONST_FUN_OBJ_3(est_rested_soc_obj, est_rested_soc);

static mp_obj_t est_predict(mp_obj_t params, mp_obj_t state, mp_obj_t sample)
{
    return mp_obj_new_int(assb_est_f32_predict(params_of(params), state_of(state), sample_of(sample)));
}
static MP_DEFINE_CONST_FUN_OBJ_3(est_predict_obj, est_predict);

static mp_obj_t est_step(mp_obj_t params, mp_obj_t state, mp_obj_t sample)
{
    return mp_obj_new_int(assb_est_f32_step(params_of(params), state_of(state), sample_of(sample)));
}
static MP_DEFINE_CONST_FUN_OBJ_3(est_step_obj, est_step);

static mp_obj_t learning_check(mp_obj_t params)
{
    return mp_obj_new_int(assb_est_f32_learning_check(learning_params_of(params)));
}
static MP_DEFINE_CONST_FUN_OBJ_1(learning_check_obj, learning_check);

static mp_obj_t learning_reset(mp_obj_t params, mp_obj_t learning)
{
    assb_est_f32_learning_reset(learning_params_of(params), learning_of(learning));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(learning_reset_obj, learning_reset);

static mp_obj_t learning_restore(mp_obj_t params, mp_obj_t learning, mp_obj_t learned)
{
    const float *values = floats(learned, sizeof(float) * ASSB_LEARNED, MP_BUFFER_READ);
    return mp_obj_new_int(assb_est_f32_learning_restore(learning_params_of(params), learning_of(learning), values));
}
static MP_DEFINE_CONST_FUN_OBJ_3(learning_restore_obj, learning_restore);

static mp_obj_t learning_lose(mp_obj_t learning)
{
    assb_est_f32_learning_lose(learning_of(learning));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(learning_lose_obj, learning_lose);

static mp_obj_t learning_update(size_t count, const mp_obj_t *args)
{
    (void)count;
    assb_est_f32_learning_update(params_of(args[0]), learning_params_of(args[0]), state_of(args[1]),
                                 learning_of(args[2]), sample_of(args[3]));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(learning_update_obj, 4, 4, learning_update);

/* Sigmas of resistance_scale, of SOH in resistance, of capacity_scale and of SOC; what the last chances lacked. */
static mp_obj_t learning_told(size_t count, const mp_obj_t *args)
{
    (void)count;
    const assb_est_f32_learning_params *params = learning_params_of(args[0]);
    const assb_est_f32_learning *learning = learning_of(args[2]);
    float *told = floats(args[3], sizeof(float) * 5, MP_BUFFER_RW);
    told[0] = assb_est_f32_resistance_sigma(params, learning);
    told[1] = assb_est_f32_soh_resistance_sigma(params_of(args[0]), params, learning);
    told[2] = assb_est_f32_capacity_sigma(params, learning);
    told[3] = assb_est_f32_soc_sigma(state_of(args[1]), learning);
    told[4] = learning->capacity_missing + 16 * learning->resistance_missing;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(learning_told_obj, 4, 4, learning_told);

static mp_obj_t power_check(mp_obj_t params)
{
    return mp_obj_new_int(assb_est_f32_power_check(power_params_of(params)));
}
static MP_DEFINE_CONST_FUN_OBJ_1(power_check_obj, power_check);

/* ask: temperature, pressure, whether the pressure is known, whether charging. limit: current, power, voltage and
 * bound, three of each. */
static mp_obj_t power_limits(size_t count, const mp_obj_t *args)
{
    (void)count;
    const float *asked = floats(args[2], sizeof(float) * 4, MP_BUFFER_READ);
    float *out = floats(args[3], sizeof(float) * 4 * ASSB_HORIZONS, MP_BUFFER_RW);
    assb_est_f32_power_ask ask = {asked[0], asked[1], asked[2] != 0, asked[3] != 0};
    assb_est_f32_power_limit limit;
    int status =
        assb_est_f32_power_limits(params_of(args[0]), power_params_of(args[0]), state_of(args[1]), &ask, &limit);
    for (int k = 0; status == ASSB_OK && k < ASSB_HORIZONS; k++) {
        out[k] = limit.current_a[k];
        out[ASSB_HORIZONS + k] = limit.power_w[k];
        out[2 * ASSB_HORIZONS + k] = limit.voltage_v[k];
        out[3 * ASSB_HORIZONS + k] = (float)limit.bound[k];
    }
    return mp_obj_new_int(status);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(power_limits_obj, 4, 4, power_limits);

static const assb_est_f32_detection_params *detection_params_of(mp_obj_t object)
{
    size_t before =
        sizeof(assb_est_f32_params) + sizeof(assb_est_f32_learning_params) + sizeof(assb_est_f32_power_params);
    const char *flat = floats(object, before + sizeof(assb_est_f32_detection_params), MP_BUFFER_READ);
    return (const void *)(flat + before);
}

static assb_est_f32_detection *detection_of(mp_obj_t object)
{
    return floats(object, sizeof(assb_est_f32_detection), MP_BUFFER_RW);
}

static const assb_est_f32_detection_sample *detection_sample_of(mp_obj_t object)
{
    return floats(object, sizeof(assb_est_f32_detection_sample), MP_BUFFER_READ);
}

static mp_obj_t detection_check(mp_obj_t params)
{
    return mp_obj_new_int(assb_est_f32_detection_check(detection_params_of(params)));
}
static MP_DEFINE_CONST_FUN_OBJ_1(detection_check_obj, detection_check);

static mp_obj_t detection_reset(mp_obj_t detection)
{
    assb_est_f32_detection_reset(detection_of(detection));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(detection_reset_obj, detection_reset);

static mp_obj_t detection_blind(mp_obj_t detection)
{
    assb_est_f32_detection_blind(detection_of(detection));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_1(detection_blind_obj, detection_blind);

static mp_obj_t detection_loop_ohm(mp_obj_t params, mp_obj_t state, mp_obj_t temperature_degc)
{
    float degc = mp_obj_get_float_to_f(temperature_degc);
    return mp_obj_new_float_from_f(assb_est_f32_loop_ohm(params_of(params), state_of(state), degc));
}
static MP_DEFINE_CONST_FUN_OBJ_3(detection_loop_ohm_obj, detection_loop_ohm);

static mp_obj_t detection_sample(size_t count, const mp_obj_t *args)
{
    (void)count;
    int whole =
        assb_est_f32_detection_sample_taken(detection_params_of(args[0]), params_of(args[0]), detection_of(args[1]),
                                            state_of(args[2]), detection_sample_of(args[3]));
    return mp_obj_new_bool(whole);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(detection_sample_obj, 4, 4, detection_sample);

/* all: what the cells of the pack keep, one after the other; at: which of them it is about. */
static mp_obj_t detection_second(size_t count, const mp_obj_t *args)
{
    (void)count;
    mp_buffer_info_t buffer;
    assb_est_f32_detection *all = detection_of(args[1]);
    mp_get_buffer_raise(args[1], &buffer, MP_BUFFER_RW);
    long cells = (long)(buffer.len / sizeof *all), at = mp_obj_get_int(args[2]);
    if (at < 0 || at >= cells)
        mp_raise_ValueError("no such cell");
    assb_est_f32_reference reference;
    assb_est_f32_detection_reference(all, cells, at, &reference);
    int changed = assb_est_f32_detection_second(detection_params_of(args[0]), params_of(args[0]), all + at,
                                                state_of(args[3]), detection_sample_of(args[4]), &reference);
    return mp_obj_new_bool(changed);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(detection_second_obj, 5, 5, detection_second);

static mp_obj_t detection_collapsed(mp_obj_t detection, mp_obj_t rs_ohm)
{
    return mp_obj_new_bool(assb_est_f32_detection_collapsed(detection_of(detection), mp_obj_get_float_to_f(rs_ohm)));
}
static MP_DEFINE_CONST_FUN_OBJ_2(detection_collapsed_obj, detection_collapsed);

/* told: states and scores of the evidences, then the outcome, as firmware/assb/detection/native.py has it. */
static mp_obj_t detection_told(mp_obj_t detection, mp_obj_t told)
{
    const assb_est_f32_detection *d = detection_of(detection);
    float *out = floats(told, sizeof(float) * DETECTION_TOLD, MP_BUFFER_RW);
    for (int k = 0; k < ASSB_EVIDENCES; k++) {
        *out++ = d->state[k];
        out[ASSB_EVIDENCES - 1] = d->score[k];
    }
    out += ASSB_EVIDENCES;
    *out++ = d->stage;
    *out++ = d->carried;
    *out++ = d->likelihood;
    *out++ = d->rs_ohm;
    *out++ = d->rs_low_ohm;
    *out++ = d->rs_high_ohm;
    *out++ = d->dips.total;
    *out++ = d->dips.depth_v;
    *out++ = d->dips.ages;
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(detection_told_obj, detection_told);

mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args)
{
    MP_DYNRUNTIME_INIT_ENTRY
    mp_store_global(MP_QSTR_EST_STATE_FLOATS, MP_OBJ_NEW_SMALL_INT(sizeof(assb_est_f32_state) / sizeof(float)));
    mp_store_global(MP_QSTR_est_check, MP_OBJ_FROM_PTR(&est_check_obj));
    mp_store_global(MP_QSTR_est_reset, MP_OBJ_FROM_PTR(&est_reset_obj));
    mp_store_global(MP_QSTR_est_rested_soc, MP_OBJ_FROM_PTR(&est_rested_soc_obj));
    mp_store_global(MP_QSTR_est_predict, MP_OBJ_FROM_PTR(&est_predict_obj));
    mp_store_global(MP_QSTR_est_step, MP_OBJ_FROM_PTR(&est_step_obj));
    mp_store_global(MP_QSTR_LEARNING_FLOATS, MP_OBJ_NEW_SMALL_INT(sizeof(assb_est_f32_learning) / sizeof(float)));
    mp_store_global(MP_QSTR_learning_check, MP_OBJ_FROM_PTR(&learning_check_obj));
    mp_store_global(MP_QSTR_learning_reset, MP_OBJ_FROM_PTR(&learning_reset_obj));
    mp_store_global(MP_QSTR_learning_restore, MP_OBJ_FROM_PTR(&learning_restore_obj));
    mp_store_global(MP_QSTR_learning_lose, MP_OBJ_FROM_PTR(&learning_lose_obj));
    mp_store_global(MP_QSTR_learning_update, MP_OBJ_FROM_PTR(&learning_update_obj));
    mp_store_global(MP_QSTR_learning_told, MP_OBJ_FROM_PTR(&learning_told_obj));
    mp_store_global(MP_QSTR_power_check, MP_OBJ_FROM_PTR(&power_check_obj));
    mp_store_global(MP_QSTR_power_limits, MP_OBJ_FROM_PTR(&power_limits_obj));
    mp_store_global(MP_QSTR_DETECTION_FLOATS, MP_OBJ_NEW_SMALL_INT(sizeof(assb_est_f32_detection) / sizeof(float)));
    mp_store_global(MP_QSTR_DETECTION_TOLD_FLOATS, MP_OBJ_NEW_SMALL_INT(DETECTION_TOLD));
    mp_store_global(MP_QSTR_detection_check, MP_OBJ_FROM_PTR(&detection_check_obj));
    mp_store_global(MP_QSTR_detection_reset, MP_OBJ_FROM_PTR(&detection_reset_obj));
    mp_store_global(MP_QSTR_detection_blind, MP_OBJ_FROM_PTR(&detection_blind_obj));
    mp_store_global(MP_QSTR_detection_loop_ohm, MP_OBJ_FROM_PTR(&detection_loop_ohm_obj));
    mp_store_global(MP_QSTR_detection_sample, MP_OBJ_FROM_PTR(&detection_sample_obj));
    mp_store_global(MP_QSTR_detection_second, MP_OBJ_FROM_PTR(&detection_second_obj));
    mp_store_global(MP_QSTR_detection_collapsed, MP_OBJ_FROM_PTR(&detection_collapsed_obj));
    mp_store_global(MP_QSTR_detection_told, MP_OBJ_FROM_PTR(&detection_told_obj));
    MP_DYNRUNTIME_INIT_EXIT
}
