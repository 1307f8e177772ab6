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

#include "py/dynruntime.h"

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

mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args)
{
    MP_DYNRUNTIME_INIT_ENTRY
    mp_store_global(MP_QSTR_EST_STATE_FLOATS, MP_OBJ_NEW_SMALL_INT(sizeof(assb_est_f32_state) / sizeof(float)));
    mp_store_global(MP_QSTR_est_check, MP_OBJ_FROM_PTR(&est_check_obj));
    mp_store_global(MP_QSTR_est_reset, MP_OBJ_FROM_PTR(&est_reset_obj));
    mp_store_global(MP_QSTR_est_rested_soc, MP_OBJ_FROM_PTR(&est_rested_soc_obj));
    mp_store_global(MP_QSTR_est_predict, MP_OBJ_FROM_PTR(&est_predict_obj));
    mp_store_global(MP_QSTR_est_step, MP_OBJ_FROM_PTR(&est_step_obj));
    MP_DYNRUNTIME_INIT_EXIT
}
