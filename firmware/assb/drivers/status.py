"""Status bits, of which every driver's `status` attribute is made. 0: the last update stored a new, plausible value.

`update()` of a driver returns True when it stored a new value in its attributes and False when the last values stay;
`status` says why. SATURATED is the one bit that comes with True: the value is then the end of the converter's range,
which is information (a limit row must see it and trip), though an estimator should not use it.
"""

BUS_ERROR = 1  # the chip did not acknowledge, or the bus timed out
NOT_READY = 2  # no conversion since the last update, or conversions have stopped
SATURATED = 4  # the converter, or the sensor's rated range, is at its end
CONFIG_LOST = 8  # registers do not hold what was programmed: brown-out, reset or a foreign write
CHIP_FAULT = 16  # the chip's own self-check failed, or a wire of its sensor is open or shorted
HELD = 32  # between two results of a converter that is slower than the tick: the last values stand
