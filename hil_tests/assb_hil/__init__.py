"""Hardware in the loop: devices under test, chip models, the plant, scenarios and their commands."""
