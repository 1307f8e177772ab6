"""Internal-short detection: one small module per evidence, one that fuses them. Pure; times are passed in."""

UNAVAILABLE, LEARNING, NORMAL, ACTIVE = range(4)  # order of schema.EVIDENCE_STATES
