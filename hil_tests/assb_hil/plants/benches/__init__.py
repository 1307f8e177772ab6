"""What a cell stands in and hangs on: press, contactor, cycler and sensors."""
