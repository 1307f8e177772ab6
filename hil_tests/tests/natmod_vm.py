"""Run by test_natmod.py on the VM, in a folder with package assb: prints one line for each thing it is asked to do."""

import binascii
import gc
import sys
import time
from array import array

import micropython
from assb.estimation import assb_kernel, golden
from assb.estimation.kernel import Ekf


def replay(path, steps):
    """State after a reset and `steps` samples from a file of floats."""
    rows = array("f", bytes(20 * steps))
    with open(path, "rb") as file:
        file.readinto(rows)
    estimator = Ekf(golden.cell())
    estimator.reset(0.5, 0.125)
    statuses = bytearray(steps)
    for k in range(steps):
        statuses[k] = estimator.step(*rows[5 * k : 5 * k + 5]) & 0xFF
    print(binascii.hexlify(statuses).decode(), binascii.hexlify(bytes(estimator.state)).decode())


def golden_vector():
    estimator = Ekf(golden.cell())
    print(golden.right(estimator), binascii.hexlify(bytes(estimator.state)).decode())


def detect(flat_path, rows_path, cells):
    """Stages that changed, and all that the detectors keep."""
    import detect_rows
    from assb.estimation import kernel

    changes, pack = detect_rows.stages(kernel, floats(flat_path), floats(rows_path), cells)
    print(changes)
    print(binascii.hexlify(bytes(pack.kept)).decode())


def floats(path):
    with open(path, "rb") as file:
        return array("f", file.read())


def refusals():
    """What each wrong buffer raises."""
    cell, sample = golden.cell(), array("f", bytes(20))
    state = array("f", bytes(4 * assb_kernel.EST_STATE_FLOATS))
    shifted = memoryview(bytearray(len(state) * 4 + 4))[1:]
    cases = (
        (cell, state, sample[:4]), (cell, state[:-1], sample), (cell[:500], state, sample),
        (cell, bytes(state), sample), (cell, shifted, sample), (cell, 7, sample),
    )  # fmt: skip
    for case in cases:
        try:
            print(assb_kernel.est_step(*case))
        except (ValueError, TypeError) as error:
            print(type(error).__name__, error)


def locked():
    """A step and a prediction on buffers allocate nothing at all."""
    cell, sample = golden.cell(), array("f", (3.7, 0.5, 25.0, 5.0, 0.125))
    state = Ekf(cell).state
    step, predict = assb_kernel.est_step, assb_kernel.est_predict
    micropython.heap_lock()
    statuses = step(cell, state, sample) + predict(cell, state, sample)
    micropython.heap_unlock()
    print(statuses)


def locked_collapse():
    """What the fast tick asks of the detectors allocates nothing."""
    flat = golden.cell()
    detector = kernel_pack().add(flat, Ekf(flat))
    detector.collapse()
    micropython.heap_lock()
    news = detector.collapse()
    micropython.heap_unlock()
    print(news, detector.stage)


def kernel_pack():
    from assb.estimation import kernel

    return kernel.Pack(1)


def cost(steps):
    """us and bytes of heap that one step of native module and twin take."""
    from assb.estimation.ekf import Ekf as Twin

    for make in (Ekf, Twin):
        gc.collect()
        before_b = gc.mem_alloc()
        estimator = make(golden.cell())
        gc.collect()
        held_b = gc.mem_alloc() - before_b
        gc.disable()
        before_b = gc.mem_alloc()
        estimator.step(3.7, 0.5, 25.0, 5.0, 0.125)
        step_b = gc.mem_alloc() - before_b
        gc.enable()
        start_us = time.ticks_us()
        for _ in range(steps):
            estimator.step(3.7, 0.5, 25.0, 5.0, 0.125)
        step_us = time.ticks_diff(time.ticks_us(), start_us) / steps
        print(f"{step_us:.3f} us {step_b} B a step, {held_b} B held")


globals()[sys.argv[1]](*[int(word) if word.isdigit() else word for word in sys.argv[2:]])
