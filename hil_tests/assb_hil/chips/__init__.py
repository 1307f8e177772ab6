"""Register-level models of the reference rig's chips and actuators, written from datasheets; they know no driver."""
