"""A cell profile from a user's own logs: OCV runs and pulses in, what the firmware shall believe out."""
