"""Devices under test: one interface, and the virtual board behind it."""
