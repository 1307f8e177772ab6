"""The native module's functions over the host's build of the same C file: what the face and the chooser are tested with
where no MicroPython source tree is at hand."""

from array import array
from types import SimpleNamespace

from assb_kernels._kernels import ffi, lib

STATE_FLOATS = ffi.sizeof("assb_est_f32_state") // 4
LEARNING_AT = ffi.sizeof("assb_est_f32_params")
POWER_AT = LEARNING_AT + ffi.sizeof("assb_est_f32_learning_params")


def pointer(kind, buffer, at=0):
    """Of a caller's buffer; ValueError when it is too short, as the module raises it."""
    view = ffi.from_buffer(buffer)
    if len(view) < at + ffi.sizeof(f"assb_est_f32_{kind}"):
        raise ValueError("buffer too short")
    return ffi.cast(f"assb_est_f32_{kind} *", view + at)


def learning(buffer):
    return pointer("learning", buffer)


def groups(flat):
    return pointer("params", flat), pointer("learning_params", flat, LEARNING_AT)


def told(flat, state, kept, out):
    params, own = groups(flat)
    at = learning(kept)
    out[0] = lib.assb_est_f32_resistance_sigma(own, at)
    out[1] = lib.assb_est_f32_soh_resistance_sigma(params, own, at)
    out[2] = lib.assb_est_f32_capacity_sigma(own, at)
    out[3] = lib.assb_est_f32_soc_sigma(pointer("state", state), at)
    out[4] = at.capacity_missing + 16 * at.resistance_missing


def power_limits(flat, state, asked, out):
    ask = ffi.new("assb_est_f32_power_ask *", [asked[0], asked[1], asked[2] != 0, asked[3] != 0])
    limit = ffi.new("assb_est_f32_power_limit *")
    own = pointer("power_params", flat, POWER_AT)
    status = lib.assb_est_f32_power_limits(pointer("params", flat), own, pointer("state", state), ask, limit)
    if status == 0:
        out[:] = array("f", [*limit.current_a, *limit.power_w, *limit.voltage_v, *limit.bound])
    return status


def host_kernel(**changes):
    """A stand-in for `assb_kernel`; `changes` replace functions or figures of it."""
    functions = {
        "EST_STATE_FLOATS": STATE_FLOATS,
        "est_check": lambda params: lib.assb_est_f32_check(pointer("params", params)),
        "est_reset": lambda params, state, soc, sigma: lib.assb_est_f32_reset(
            pointer("params", params), pointer("state", state), soc, sigma
        ),
        "est_rested_soc": lambda params, voltage_v, temperature_degc: lib.assb_est_f32_rested_soc(
            pointer("params", params), voltage_v, temperature_degc
        ),
        "est_predict": lambda params, state, sample: lib.assb_est_f32_predict(
            pointer("params", params), pointer("state", state), pointer("sample", sample)
        ),
        "est_step": lambda params, state, sample: lib.assb_est_f32_step(
            pointer("params", params), pointer("state", state), pointer("sample", sample)
        ),
        "LEARNING_FLOATS": ffi.sizeof("assb_est_f32_learning") // 4,
        "learning_check": lambda flat: lib.assb_est_f32_learning_check(groups(flat)[1]),
        "learning_reset": lambda flat, kept: lib.assb_est_f32_learning_reset(groups(flat)[1], learning(kept)),
        "learning_restore": lambda flat, kept, values: lib.assb_est_f32_learning_restore(
            groups(flat)[1], learning(kept), ffi.from_buffer("float[]", values)
        ),
        "learning_lose": lambda kept: lib.assb_est_f32_learning_lose(learning(kept)),
        "learning_update": lambda flat, state, kept, sample: lib.assb_est_f32_learning_update(
            *groups(flat), pointer("state", state), learning(kept), pointer("sample", sample)
        ),
        "learning_told": told,
        "power_check": lambda flat: lib.assb_est_f32_power_check(pointer("power_params", flat, POWER_AT)),
        "power_limits": power_limits,
    }
    present = {**functions, **changes}
    return SimpleNamespace(**{name: value for name, value in present.items() if value is not None})
