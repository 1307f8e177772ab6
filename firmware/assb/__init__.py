"""assb: firmware for packs of all-solid-state cells held under controlled stack pressure."""

VERSION = (0, 1, 0)
