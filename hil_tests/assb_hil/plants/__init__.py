"""What the simulated cells and their benches are: one TOML file each. The firmware's beliefs live elsewhere."""
