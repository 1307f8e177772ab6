"""Seeded trials of the short detectors on simulated packs: drawing, running, counting, reporting."""
