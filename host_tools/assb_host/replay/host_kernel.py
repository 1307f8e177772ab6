"""The native module's functions over the host's build of the same C file: recordings of a board that ran the module are
replayed through it, and its face and its chooser are tested with it."""

import sys
from array import array
from types import SimpleNamespace

import assb.detection
import assb.estimation
from assb_kernels._kernels import ffi, lib

MODULE, FACE, DETECTORS = "assb.estimation.assb_kernel", "assb.estimation.kernel", "assb.detection.native"
STATE_FLOATS = ffi.sizeof("assb_est_f32_state") // 4
LEARNING_AT = ffi.sizeof("assb_est_f32_params")
POWER_AT = LEARNING_AT + ffi.sizeof("assb_est_f32_learning_params")
DETECTION_AT = POWER_AT + ffi.sizeof("assb_est_f32_power_params")
DETECTION_BYTES = ffi.sizeof("assb_est_f32_detection")
TOLD = ("stage", "carried", "likelihood", "rs_ohm", "rs_low_ohm", "rs_high_ohm")
TOLD_OF_DIPS = ("total", "depth_v", "ages")


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


def detection_params(flat):
    return pointer("detection_params", flat, DETECTION_AT)


def detection(kept):
    return pointer("detection", kept)


def detection_sample(flat, kept, state, sample):
    where = (detection_params(flat), pointer("params", flat), detection(kept), pointer("state", state))
    return bool(lib.assb_est_f32_detection_sample_taken(*where, pointer("detection_sample", sample)))


def detection_second(flat, kept, at, state, sample):
    count = len(memoryview(kept).cast("B")) // DETECTION_BYTES
    if not 0 <= at < count:
        raise ValueError("no such cell")
    reference = ffi.new("assb_est_f32_reference *")
    lib.assb_est_f32_detection_reference(detection(kept), count, at, reference)
    where = (detection_params(flat), pointer("params", flat), detection(kept) + at, pointer("state", state))
    return bool(lib.assb_est_f32_detection_second(*where, pointer("detection_sample", sample), reference))


def detection_told(kept, out):
    d = detection(kept)
    told = [*d.state, *d.score, *(getattr(d, name) for name in TOLD)]
    out[:] = array("f", told + [getattr(d.dips, name) for name in TOLD_OF_DIPS])


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
        "DETECTION_FLOATS": DETECTION_BYTES // 4,
        "DETECTION_TOLD_FLOATS": 2 * lib.ASSB_EVIDENCES + len(TOLD + TOLD_OF_DIPS),
        "detection_check": lambda flat: lib.assb_est_f32_detection_check(detection_params(flat)),
        "detection_reset": lambda kept: lib.assb_est_f32_detection_reset(detection(kept)),
        "detection_blind": lambda kept: lib.assb_est_f32_detection_blind(detection(kept)),
        "detection_loop_ohm": lambda flat, state, degc: lib.assb_est_f32_loop_ohm(
            pointer("params", flat), pointer("state", state), degc
        ),
        "detection_sample": detection_sample,
        "detection_second": detection_second,
        "detection_collapsed": lambda kept, rs_ohm: bool(lib.assb_est_f32_detection_collapsed(detection(kept), rs_ohm)),
        "detection_told": detection_told,
    }
    present = {**functions, **changes}
    return SimpleNamespace(**{name: value for name, value in present.items() if value is not None})


def install(module):
    """Put `module` where the native module would be: what is imported of its faces from now on is over it."""
    uninstall()
    sys.modules[MODULE] = module
    setattr(assb.estimation, MODULE.rpartition(".")[2], module)


def uninstall():
    """As if there had been none."""
    for name in (MODULE, FACE, DETECTORS):
        sys.modules.pop(name, None)
        package = assb.detection if name == DETECTORS else assb.estimation
        attribute = name.rpartition(".")[2]
        if hasattr(package, attribute):
            delattr(package, attribute)
