"""Board, pack and cell files that ship with assb-bms; docs/config.md explains every key."""
