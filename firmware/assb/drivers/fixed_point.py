"""Multiplication by a ratio in integers that stay below 2**30, the largest that MicroPython keeps off the heap."""

from assb.const import const

_INT30_MAX = const(0x3FFFFFFF)


class Ratio:
    """`apply(value)` is value * numerator / denominator in 30 bits, nearly rounded.

    `value_bits` is the width of the signed input; it is split into two halves of h bits, each of which is multiplied by
    a mantissa short enough that no product leaves 30 bits. The error is at most 1 unit of output, plus 2**(h - 29) of
    the result, plus 2**(2 * h - 29) of the ratio: for a 20-bit converter 1 unit, 2 ppm, and 2 thousandths of a code.
    ValueError when a full-scale input would leave 30 bits. The constructor uses big integers (set-up only).
    """

    def __init__(self, numerator: int, denominator: int, value_bits: int):
        if numerator <= 0 or denominator <= 0:
            raise ValueError(f"a ratio of {numerator}/{denominator} is not positive")
        if (numerator << value_bits - 1) // denominator > _INT30_MAX:
            raise ValueError(f"{value_bits}-bit values times {numerator}/{denominator} do not fit 30 bits")
        self._half = (value_bits + 1) // 2
        self._low_mask = (1 << self._half) - 1
        mantissa_bits = 30 - self._half
        shift = 0
        # the mantissa as long as it may be, but for ratios so small that the rounding bit of apply would leave 30 bits
        while numerator << 1 < denominator << mantissa_bits and shift < self._half + 28:
            numerator <<= 1
            shift += 1
        while numerator >= denominator << mantissa_bits:
            denominator <<= 1
            shift -= 1
        self._mantissa = min((numerator + denominator // 2) // denominator, (1 << mantissa_bits) - 1)
        self._shift = shift - self._half

    def apply(self, value: int) -> int:
        half = self._half
        product = (value >> half) * self._mantissa + (((value & self._low_mask) * self._mantissa) >> half)
        shift = self._shift
        if shift > 0:
            return (product + (1 << shift - 1)) >> shift
        return product << -shift


def signed(value: int, bits: int) -> int:
    """Two's complement: an unsigned register of `bits` bits as a signed integer."""
    return value - (1 << bits) if value >> bits - 1 else value
