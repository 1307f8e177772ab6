"""Golden vector: a fixed cell, a fixed sequence of samples, and what an estimator must have made of them.

The single-precision kernel gives the same bytes wherever it runs, so its state must have the CRC below. The twin counts
in the floats of its interpreter, single on most boards and double on a PC, so a few of its figures must be near.
Cell and samples come from whole numbers alone, divided by a power of two: no interpreter rounds them.

The detectors have a sequence of their own, and of them the kernel's bytes alone are compared.

`python host_tools/checks/golden_vector.py --write` sets the figures again after the algorithm has changed.
"""

import binascii
from array import array

from assb.const import const
from assb.estimation import parameters

_STEPS = const(64)
_SECONDS = const(240)
# What the single-precision kernel of the host has after them
_STATE_CRC30 = const(0x161E893E)  # the lower 30 bits of the CRC-32 of the state, little-endian
_DETECTION_CRC30 = const(0x2B5A843A)  # and of what its detectors keep
_SOC = const(0.51456124)
_COVARIANCE_TRACE = const(0.28448248)
_INNOVATION_SIGMA_V = const(0.0050479997)

# Single and double precision differ by less than a hundredth of these (a test holds them to it)
_SOC_TOLERANCE = const(0.0001)
_RELATIVE_TOLERANCE = const(0.001)

_UNIT = const(65536.0)
# name first step bend, in 1/65536: value k of a row is first + step k + bend k k. docv_v is the slope of ocv_v.
_CELL = const("""\
capacity_ah 39322 0 0
coulombic_efficiency_frac 65471 0 0
ocv_v 196608 900 -2
docv_v 115200 -512 0
ocv_temperature_degc 1638400 0 0
entropy_v_per_k 13 0 0
r0_temperature_degc 0 458752 0
r0_pressure_mpa 32768 65536 8192
r0_ohm 13107 -60 0
r1_ohm 655 -20 0
r2_ohm 1310 -40 0
tau1_s 327680 0 0
tau2_s 3932160 0 0
hysteresis_v 1311 0 0
hysteresis_rate 1310720 0 0
voltage_sigma_v 131 0 0
overvoltage_sigma_frac 3277 0 0
rc_sigma_v 66 0 0
hysteresis_sigma_frac 13107 0 0
soc_noise_frac_per_rts 1 0 0
leak_sigma_a 1966 0 0
leak_tau_s 235929600 0 0
gate_sigmas 327680 0 0
adapt_tau_s 327680 0 0
adapt_max 6553600 0 0
voltage_min_v 0 0 0
voltage_max_v 393216 0 0
current_max_a 655360 0 0
temperature_min_degc -2621440 0 0
temperature_max_degc 7864320 0 0
pressure_max_mpa 26214400 0 0
dt_max_s 3932160 0 0
rc_factor 65536 300 -2
""")
_THRESHOLD = const(0.03125)  # of the detectors, but for these: so low that each of them has something to tell
_DETECTION = const("""\
rest_c 131072
step_c 1048576
dip_count 262144
charge_slope_most_v 262144
noise_ratio 131072
charge_alone 131072
swelling_high 131072
""")


def cell():
    """Parameters in the flat layout; rows that neither the filter nor the detectors read are 0."""
    flat = array("f", bytes(4 * parameters.SIZE))
    at = 0
    for name, count in parameters.ekf_rows():
        start = _CELL.find(name + " ")
        first, step, bend = [int(word) for word in _CELL[start : _CELL.find("\n", start)].split(" ")[1:]]
        for k in range(count):
            flat[at + k] = (first + step * k + bend * k * k) / _UNIT
        at += count
    at = parameters.SIZE - parameters.DETECTION_SIZE
    for name, _count in parameters.detection_rows():
        start = _DETECTION.find(name + " ")
        flat[at] = (
            _THRESHOLD if start < 0 else int(_DETECTION[start + len(name) : _DETECTION.find("\n", start)]) / _UNIT
        )
        at += 1
    return flat


def run(estimator):
    """Feed a fresh estimator of `cell()` the samples: noise, jumps beyond the gate, lost voltages, refused inputs."""
    estimator.reset(0.625, 0.125)
    x = 1
    for k in range(_STEPS):
        x = (75 * x + 74) % 65537
        current_a = (2 * x - 65536) / _UNIT * (k % 3)
        x = (75 * x + 74) % 65537
        voltage_v = (247000 + x % 512) / _UNIT + current_a * 0.1875
        x = (75 * x + 74) % 65537
        temperature_degc = (1000000 + 8 * x) / _UNIT
        x = (75 * x + 74) % 65537
        pressure_mpa = 8 * x / _UNIT
        dt_s = (1 + k % 4) / 8
        if k % 16 == 15:
            voltage_v = voltage_v - 0.5
        elif k % 24 == 20:
            voltage_v = 8.0
        if k % 8 == 6:
            estimator.predict(current_a, temperature_degc, pressure_mpa, dt_s)
        else:
            estimator.step(voltage_v, current_a, temperature_degc, pressure_mpa, dt_s)


def right(estimator):
    """Whether an estimator of `cell()` makes of the sequence what it must: to the byte if it has its state as bytes."""
    run(estimator)
    if hasattr(estimator, "state"):
        return binascii.crc32(estimator.state) & 0x3FFFFFFF == _STATE_CRC30
    covariance = estimator.covariance()
    trace = 0.0
    for k in range(len(covariance)):
        trace += covariance[k][k]
    return (
        abs(estimator.soc - _SOC) < _SOC_TOLERANCE
        and abs(trace - _COVARIANCE_TRACE) < _RELATIVE_TOLERANCE * _COVARIANCE_TRACE
        and abs(estimator.innovation_sigma_v - _INNOVATION_SIGMA_V) < _RELATIVE_TOLERANCE * _INNOVATION_SIGMA_V
    )


def detects(kernel):
    """Whether the native detectors of this face make what they must of rests, charges and discharges, at the rate of
    samples, then of seconds, on a cell that dips and begins to leak.
    """
    flat = cell()
    estimator, pack = kernel.Ekf(flat), kernel.Pack(1)
    watch_cell(estimator, pack, pack.add(flat, estimator))
    return binascii.crc32(pack.kept) & 0x3FFFFFFF == _DETECTION_CRC30


def watch_cell(estimator, pack, detector):
    """Feed both."""
    watched = detector.cell
    watched.has_pressure = True
    watched.temperature_degc, watched.aim_mpa = 25.0, 4.0
    estimator.reset(0.5, 0.015625)
    x, level = 1, 246000
    for k in range(2 * _SECONDS):
        x = (75 * x + 74) % 65537
        slow = k >= _SECONDS
        way = (0, 1, 0, -1)[k // (_SECONDS // 4) % 4]
        level += 9 * way - k % 2 if slow else way
        watched.dt_s = 1.0 if slow else 0.125
        dip = 2000 if k % 24 == 20 else 100 if k % 24 > 20 else 0
        watched.current_a = way / 4
        watched.voltage_v = (level + 3000 * way + x % 64 - dip) / _UNIT
        watched.pressure_mpa = 4.0 - k / 2048
        if estimator.step(watched.voltage_v, watched.current_a, 25.0, watched.pressure_mpa, watched.dt_s) != 0:
            detector.blind()
        elif detector.see_sample():
            pack.compare(detector)
            detector.see_second(pack)
