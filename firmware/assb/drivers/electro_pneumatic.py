"""Electro-pneumatic regulator on a DAC: 0 to 10 V for no to full stack pressure."""

from assb.drivers.status import CONFIG_LOST


class ElectroPneumatic:
    """Turns kPa of stack pressure into DAC codes.

    `dac`: MCP4725 or alike (`write(code)`, `read_back()`, `adopt()`), amplified so that its full code is the
    regulator's full input. `full_scale_kpa`: stack pressure at the full code; `maximum_kpa`: never command more.
    Attributes: commanded_kpa, the last command that the DAC acknowledged, at first what a configured DAC holds.
    """

    FULL_CODE = 4095

    def __init__(self, dac, full_scale_kpa: int, maximum_kpa=None):
        if not 0 < full_scale_kpa <= 262000:  # times 4095 must fit 30 bits
            raise ValueError(f"regulator full_scale_kpa={full_scale_kpa}: 1 to 262000")
        self._dac = dac
        self._full_scale_kpa = full_scale_kpa
        self._maximum_kpa = full_scale_kpa if maximum_kpa is None else min(maximum_kpa, full_scale_kpa)
        self._stale = dac.status != 0  # the DAC may hold something else
        self.commanded_kpa = 0 if self._stale else self._held_kpa()

    @property
    def status(self) -> int:
        return self._dac.status

    @property
    def error_count(self) -> int:
        return self._dac.error_count

    def command_kpa(self, kpa: int) -> bool:
        """Clamp to 0..maximum_kpa and write when it changes the code. True when the DAC holds it, as far as known.

        The code is rounded down: a step of the DAC too little is safer than one too much. A DAC that was not heard may
        have lost its output: it is written again once `verify` knows what it holds.
        """
        if self._dac.status:
            return False
        kpa = 0 if kpa < 0 else self._maximum_kpa if kpa > self._maximum_kpa else kpa
        code = kpa * self.FULL_CODE // self._full_scale_kpa
        if self._stale or code != self._dac.code:
            self._stale = not self._dac.write(code)
        if not self._stale:
            self.commanded_kpa = kpa
        return not self._stale

    def verify(self) -> bool:
        """Slow tick: read the DAC back. False when it had lost its value (brown-out).

        When it was right at the last look, the pressure has hardly fallen and it gets its value again. When it was not
        heard meanwhile, the pressure may be long gone and would come back at once: what it holds is what is commanded.
        """
        dac = self._dac
        right = dac.status == 0
        if dac.read_back():
            return True
        if dac.status != CONFIG_LOST:
            self._stale = True
            return True
        if right:
            self._stale = not dac.write(dac.code)
        else:
            dac.adopt()
            self._stale = False
            self.commanded_kpa = self._held_kpa()
        return False

    def _held_kpa(self) -> int:
        """Rounded up, so that commanding it again gives the same code."""
        return -(-self._dac.code * self._full_scale_kpa // self.FULL_CODE)
