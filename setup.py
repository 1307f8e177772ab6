"""The C kernels; everything else of the build stands in pyproject.toml."""

import sys
from pathlib import Path

from setuptools import setup

sys.path.insert(0, str(Path(__file__).resolve().parent / "host_tools" / "checks"))
import preflight

# Commands that compile. An sdist and metadata are made without a compiler; a build stops here, before its long log.
COMPILING = {"bdist_wheel", "editable_wheel", "build", "build_ext", "develop", "install"}

if COMPILING & set(sys.argv) and preflight.report(preflight.BUILD_PROBLEMS):
    sys.exit("assb-bms compiles its C kernels as it is installed; install what is missing, then try again")

setup(cffi_modules=["cffi_kernels/assb_kernels/build_kernels.py:ffibuilder"])
