"""The native module's functions over the host's build of the same C file: what the face and the chooser are tested with
where no MicroPython source tree is at hand."""

from types import SimpleNamespace

from assb_kernels._kernels import ffi, lib

STATE_FLOATS = ffi.sizeof("assb_est_f32_state") // 4


def pointer(kind, buffer):
    """Of a caller's buffer; ValueError when it is too short, as the module raises it."""
    view = ffi.from_buffer(buffer)
    if len(view) < ffi.sizeof(f"assb_est_f32_{kind}"):
        raise ValueError("buffer too short")
    return ffi.cast(f"assb_est_f32_{kind} *", view)


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
    }
    return SimpleNamespace(**{**functions, **changes})
