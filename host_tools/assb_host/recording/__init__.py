"""Recordings of a board: its raw bytes and a Battery Data Format table per cell, written so that a cut loses next to
nothing, and read to the last complete record."""
