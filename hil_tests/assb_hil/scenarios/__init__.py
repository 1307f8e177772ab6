"""Scenarios that come with the harness, one TOML file each; the keys are explained in assb_hil.scenario."""
