"""cffi, API mode: the declarations are cut from the C headers, so the C compiler checks every layout."""

import re
from pathlib import Path

from cffi import FFI

KERNELS = Path(__file__).resolve().parent.parent
# In the order in which their declarations build on each other
HEADERS = (
    "assb_common.h",
    "assb_estimator_state.h",
    "assb_estimator.h",
    "assb_estimator_floor.h",
    "assb_estimator_cells.h",
    "assb_power.h",
    "assb_learning.h",
    "assb_pressure_soc.h",
    "assb_detection.h",
    "assb_watch.h",
    "assb_baselines.h",
    "assb_random.h",
    "assb_voids.h",
    "assb_filament.h",
    "assb_ageing.h",
    "assb_cell.h",
    "assb_stack.h",
    "assb_actuator.h",
    "assb_pack.h",
    "assb_cycler.h",
    "assb_protocol.h",
    "assb_sensor.h",
    "assb_trial.h",
    "assb_plant_floor.h",
)
SOURCES = (
    "assb_estimator_f32.c",
    "assb_estimator_f64.c",
    "assb_estimator_cells.c",
    "assb_estimator_cells_narrow.c",
    "assb_estimator_cells_wide.c",
    "assb_estimator_floor_f32.c",
    "assb_estimator_floor_f64.c",
    "assb_learning_f32.c",
    "assb_learning_f64.c",
    "assb_pressure_soc_f32.c",
    "assb_pressure_soc_f64.c",
    "assb_detection_f32.c",
    "assb_detection_f64.c",
    "assb_watch.c",
    "assb_baselines.c",
    "assb_random.c",
    "assb_plant.c",
    "assb_cell_check.c",
    "assb_cycler.c",
    "assb_protocol.c",
    "assb_protocol_tick.c",
    "assb_sensor.c",
    "assb_trial.c",
    "assb_trial_sensors.c",
    "assb_plant_floor.c",
)
# Compiled as part of one of the above
INCLUDED = sorted({path.name for path in (KERNELS / "src").glob("*.[ch]")} - set(SOURCES))
# No contraction to FMA: results must be the same bytes on every machine. Hidden: a plain symbol in a shared object can
# be interposed by another library's.
COMPILE_ARGS = ["-O2", "-std=c99", "-ffp-contract=off", "-fvisibility=hidden", "-Wall", "-Wextra"]

PREAMBLE = """
#define ASSB_PRECISION 32
#include "assb_estimator.h"
#include "assb_estimator_floor.h"
#include "assb_learning.h"
#include "assb_pressure_soc.h"
#include "assb_power.h"
#include "assb_detection.h"
#undef ASSB_PRECISION
#define ASSB_PRECISION 64
#include "assb_estimator.h"
#include "assb_estimator_floor.h"
#include "assb_learning.h"
#include "assb_pressure_soc.h"
#include "assb_power.h"
#include "assb_detection.h"
#include "assb_watch.h"
#include "assb_baselines.h"
#include "assb_estimator_cells.h"
#include "assb_plant_floor.h"
#include "assb_protocol.h"
#include "assb_sensor.h"
#include "assb_trial.h"
"""


def declarations(header: str) -> str:
    """What stands between the cdef markers of a header, once per precision if it is generic."""
    text = (KERNELS / "include" / header).read_text(encoding="utf-8")
    cut = re.findall(r"/\* cdef begin \*/\n(.*?)/\* cdef end \*/", text, re.DOTALL)
    if len(cut) != 1:
        raise ValueError(f"{header}: expected one pair of cdef markers, found {len(cut)}")
    if "ASSB_EST(" not in cut[0]:
        return cut[0]
    return "".join(specialised(cut[0], bits, real) for bits, real in ((32, "float"), (64, "double")))


def specialised(text: str, bits: int, real: str) -> str:
    return (
        re.sub(r"ASSB_EST\((\w+)\)", rf"assb_est_f{bits}_\1", text).replace("ASSB_REAL", real).replace("ASSB_NUM", real)
    )


def dimensions(text: str) -> dict[str, str]:
    return dict(re.findall(r"\b(ASSB_\w+) = (\d+)", text))


def cdef() -> str:
    """All declarations; array bounds as figures, which the compiler compares with the real struct."""
    text = "\n".join(declarations(header) for header in HEADERS)
    bounds = dimensions(text)
    return re.sub(r"\[(ASSB_\w+)\]", lambda match: f"[{bounds[match.group(1)]}]", text)


ffibuilder = FFI()
ffibuilder.cdef(cdef())
ffibuilder.set_source(
    "assb_kernels._kernels",
    PREAMBLE,
    sources=[f"cffi_kernels/src/{name}" for name in SOURCES],
    include_dirs=["cffi_kernels/include", "cffi_kernels/src"],
    depends=[f"cffi_kernels/include/{name}" for name in (*HEADERS, "assb_math.h")]
    + [f"cffi_kernels/src/{name}" for name in INCLUDED],
    extra_compile_args=COMPILE_ARGS,
)
