"""Internal-short detection: one small module per evidence, one that fuses them. Pure; times are passed in.

What each evidence sees, what may be mistaken for it and what keeps that out stands at its module; thresholds are the
parameters of the group `detection` (estimation/flat_layout.py), starting values until measured ones replace them. The C
kernel, cffi_kernels/src/assb_detection.c, does the same operations in the same order; a test holds the two equal.
"""

UNAVAILABLE, LEARNING, NORMAL, ACTIVE = range(4)  # order of schema.EVIDENCE_STATES
