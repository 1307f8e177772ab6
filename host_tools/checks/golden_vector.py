"""The figures of firmware/assb/estimation/golden.py, from the single-precision kernel: fail when stale, or write them.

python host_tools/checks/golden_vector.py [--write]

They change when the algorithm does, and then on purpose: so `make format` does not write them.
"""

import binascii
import re
import sys
from pathlib import Path

from assb.estimation import golden
from assb_kernels import Estimator
from assb_kernels._kernels import ffi, lib

FILE = Path(golden.__file__)


def figures() -> dict[str, str]:
    """{name: figure as golden.py spells it} of what the kernel makes of the golden vector."""
    estimator = Estimator(golden.cell(), "f32")
    golden.run(estimator)
    return {
        "_STATE_CRC30": f"0x{binascii.crc32(estimator.state_bytes()) & 0x3FFFFFFF:08X}",
        "_DETECTION_CRC30": f"0x{binascii.crc32(detection_bytes()) & 0x3FFFFFFF:08X}",
        "_SOC": f"{estimator.soc:.8g}",
        "_COVARIANCE_TRACE": f"{sum(row[k] for k, row in enumerate(estimator.covariance())):.8g}",
        "_INNOVATION_SIGMA_V": f"{estimator.innovation_sigma_v:.8g}",
    }


class Detector:
    """The single-precision detectors of one cell, as golden.watch_cell feeds them."""

    def __init__(self, estimator: Estimator) -> None:
        self.kept = ffi.new("assb_est_f32_detection *")
        self.cell = self._sample = ffi.new("assb_est_f32_detection_sample *")
        self._reference = ffi.new("assb_est_f32_reference *")
        lib.assb_est_f32_detection_reset(self.kept)
        params = estimator.parameter_group("detection_params")
        self._where = (params, estimator.c_params, self.kept, estimator.c_state, self._sample)

    def blind(self) -> None:
        lib.assb_est_f32_detection_blind(self.kept)

    def see_sample(self) -> bool:
        return lib.assb_est_f32_detection_sample_taken(*self._where)

    def see_second(self, _pack: object) -> None:
        lib.assb_est_f32_detection_second(*self._where, self._reference)

    def compare(self, _own: object) -> None:
        """In the place of a pack, of this cell alone."""
        lib.assb_est_f32_detection_reference(self.kept, 1, 0, self._reference)


def detection_bytes() -> bytes:
    """What they keep in the end."""
    estimator = Estimator(golden.cell(), "f32")
    detector = Detector(estimator)
    golden.watch_cell(estimator, detector, detector)
    return bytes(ffi.buffer(detector.kept))


def written(text: str, values: dict[str, str]) -> str:
    """The text with these figures in its assignments; raises ValueError for a name that it does not assign once."""
    for name, value in values.items():
        text, count = re.subn(rf"^{name} = const\(\S+\)", f"{name} = const({value})", text, flags=re.MULTILINE)
        if count != 1:
            raise ValueError(f"{FILE} assigns {name} {count} times")
    return text


def main(arguments: list[str]) -> int:
    text = FILE.read_text(encoding="utf-8")
    new = written(text, figures())
    if "--write" in arguments:
        FILE.write_text(new, encoding="utf-8")
    elif new != text:
        print(f"{FILE} is not what the kernel gives; see its head for the command that writes it", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
