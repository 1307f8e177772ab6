"""State estimation: pure, no clock, no drivers."""
