"""Modules for the virtual board's VM: its path is this directory. CPython imports `wire` alone."""
