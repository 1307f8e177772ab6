"""The C kernels; everything else of the build stands in pyproject.toml."""

from setuptools import setup

setup(cffi_modules=["cffi_kernels/assb_kernels/build_kernels.py:ffibuilder"])
