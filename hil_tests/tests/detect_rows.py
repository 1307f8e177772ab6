"""Feeds estimators and detectors of a pack recorded rows; the same in the VM and on the host."""


def stages(kernel, flat, rows, cells):
    """[(row, cell, stage)] as they change, and the pack. `kernel`: a face. `rows`: floats, one row after the other of
    current, temperature, pressure, time step and a voltage per cell."""
    pack = kernel.Pack(cells)
    estimators = [kernel.Ekf(flat) for _ in range(cells)]
    detectors = [pack.add(flat, estimator) for estimator in estimators]
    for estimator in estimators:
        estimator.reset(0.5, 0.015625)
    changes, width = [], 4 + cells
    for row in range(len(rows) // width):
        current_a, degc, mpa, dt_s = rows[row * width : row * width + 4]
        for cell in range(cells):
            volt = rows[row * width + 4 + cell]
            detector = detectors[cell]
            if estimators[cell].step(volt, current_a, degc, mpa, dt_s) != 0:
                detector.blind()
                continue
            seen = detector.cell
            seen.voltage_v, seen.current_a, seen.temperature_degc = volt, current_a, degc
            seen.pressure_mpa, seen.has_pressure, seen.aim_mpa, seen.dt_s = mpa, True, 5.0, dt_s
            if detector.see_sample():
                pack.compare(detector)
                if detector.see_second(pack):
                    changes.append((row, cell, detector.fusion.stage))
        if row == 2 * (len(rows) // width) // 3:
            detectors[-1].fusion.collapse()
            detectors[-1].fusion.shorted(0.125)
    return changes, pack
