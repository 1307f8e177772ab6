"""Points, line and residuals of a calibration as a picture."""

from pathlib import Path

from assb_host.calibration.fit import Fit
from assb_host.report.plots import ALARM, GRID, MEASURED, STYLE


def write_plot(fit: Fit, path: Path) -> Path:
    """SVG or PNG, by the name."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    unit, kind = fit.kind.unit, fit.kind
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 5.2), layout="constrained")
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
        references = [point.reference for point in fit.points]
        read = [point.read for point in fit.points]
        ends = [min(references), max(references)]
        above.plot(ends, ends, color=GRID, linewidth=3, label="no error")
        above.plot(references, read, "o", color=MEASURED, label="read, before")
        above.set_ylabel(f"board / {unit}")
        above.set_title(f"{kind.name}: gain {fit.gain:.6f}, offset {fit.offset:+.5g} {unit}", fontsize=10, loc="left")
        above.legend(frameon=False)
        errors = [x - y for x, y in zip(read, references, strict=True)]
        below.axhline(0, color=GRID, linewidth=1.5)
        below.plot(references, errors, "o", color=MEASURED, fillstyle="none", label="error before")
        below.plot(references, fit.residuals, "o", color=ALARM, label="residual after")
        below.set_xlabel(f"reference / {unit}")
        below.set_ylabel(f"error / {unit}")
        below.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
        for axes in (above, below):
            axes.grid(True, color=GRID, linewidth=0.6)
            axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, dpi=130)
    return path
