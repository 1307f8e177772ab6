"""Corrections of a board's sensors from points at which a reference was read."""
