"""Protocols that ship with the harness; docs/sim.md explains every key."""
