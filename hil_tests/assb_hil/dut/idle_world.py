"""A world with nothing in it: no device on any bus, inputs low. What a virtual board has when nobody gives it a rig."""


class IdleWorld:
    """Time passes, nothing else happens."""

    def __init__(self):
        self.now_us = 0

    def advance(self, now_us: int) -> None:
        self.now_us = now_us

    def i2c(self, bus: int, address: int, write: bytes, read_n: int) -> bytes | None:
        return None

    def peek(self, bus: int, address: int, write: bytes, read_n: int) -> tuple[bytes, int] | None:
        return None

    def preview(self, bus: int, address: int, write: bytes, read_n: int) -> tuple[bytes, int] | None:
        return None

    def acks(self) -> frozenset[tuple[int, int]]:
        return frozenset()

    def hung_buses(self) -> frozenset[int]:
        return frozenset()

    def pin_read(self, pin: int) -> int:
        return 0

    def pin_peek(self, pin: int) -> tuple[int, int] | None:
        return None

    def pin_write(self, pin: int, level: int) -> None:
        pass

    def adc_read_u16(self, pin: int) -> int:
        return 0

    def pwm_write(self, pin: int, duty_u16: int, frequency_hz: int) -> None:
        pass

    def on_reset(self) -> None:
        pass
