"""Modules for the virtual board's VM, not for CPython: the directory is put on the VM's path, nothing here is imported."""
