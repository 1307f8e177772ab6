"""Scaling of the drivers: exact against rational arithmetic, and never beyond the 30 bits that stay off the heap."""

from fractions import Fraction

import pytest
from assb.drivers import ina228, tmp117
from assb.drivers.electro_pneumatic import ElectroPneumatic
from assb.drivers.fixed_point import Ratio, signed
from assb.drivers.load_cell import LoadCell
from assb.drivers.status import BUS_ERROR
from hypothesis import given, settings
from hypothesis import strategies as st

LIMIT = 1 << 30


class Int30(int):
    """An integer that refuses to become one for which a 32-bit MicroPython would need the heap."""

    def __new__(cls, value):
        if not -LIMIT <= value < LIMIT:
            raise OverflowError(f"{value} takes more than 31 bits with its sign")
        return super().__new__(cls, value)


def _checked(name):
    plain = getattr(int, name)

    def operation(self, *others):
        result = plain(self, *others)
        return result if result is NotImplemented else Int30(result)

    return operation


for _name in ("add", "radd", "sub", "rsub", "mul", "rmul", "lshift", "rlshift", "rshift", "floordiv", "and", "neg"):
    setattr(Int30, f"__{_name}__", _checked(f"__{_name}__"))


def tolerance(exact, ratio, bits):
    """As the docstring of Ratio has it."""
    half = (bits + 1) // 2
    return 1 + abs(exact) * Fraction(2) ** (half - 29) + ratio * Fraction(2) ** (2 * half - 29)


def test_the_guard_itself_refuses_a_large_product():
    with pytest.raises(OverflowError):
        Int30(1 << 20) * 1024


def test_the_straightforward_bus_scaling_would_leave_30_bits():
    with pytest.raises(OverflowError):
        Int30(ina228._BUS_CODE_MAX) * 3125 >> 4


@given(st.integers(-0x80000, 0x7FFFF))
@settings(deadline=None)
def test_bus_voltage_is_exact_to_half_a_microvolt(code):
    assert abs(ina228.bus_uv(Int30(code)) - Fraction(code * 3125, 16)) <= Fraction(1, 2)


@given(st.integers(-0x8000, 0x7FFF))
@settings(deadline=None)
def test_temperatures_are_exact_to_half_a_hundredth(code):
    exact = Fraction(code * 25, 32)
    assert abs(ina228.die_cdegc(Int30(code)) - exact) <= Fraction(1, 2)
    assert abs(tmp117.temperature_cdegc(Int30(code)) - exact) <= Fraction(1, 2)


@given(st.integers(-0x80000, 0x7FFFF), st.integers(160, 1000000), st.integers(0, 1))
@settings(deadline=None)
def test_current_scaling_keeps_its_stated_error_for_every_shunt(code, shunt_uohm, adc_range):
    lsb_pv = ina228.SHUNT_LSB_PV[adc_range]
    exact = Fraction(code * lsb_pv, shunt_uohm)
    scale = Ratio(lsb_pv, shunt_uohm, 20)
    assert abs(scale.apply(Int30(code)) - exact) <= tolerance(exact, Fraction(lsb_pv, shunt_uohm), 20)


def _signed_of(bits):
    return st.tuples(st.just(bits), st.integers(-(1 << bits - 1), (1 << bits - 1) - 1))


@given(st.integers(12, 26).flatmap(_signed_of), st.integers(1, 10**9), st.integers(1, 10**9))
@settings(deadline=None)
def test_ratio_stays_within_its_stated_error_or_refuses(bits_value, numerator, denominator):
    bits, value = bits_value
    if (numerator << bits - 1) // denominator > LIMIT - 1:
        with pytest.raises(ValueError, match="30 bits"):
            Ratio(numerator, denominator, bits)
        return
    exact = Fraction(value * numerator, denominator)
    error = Ratio(numerator, denominator, bits).apply(Int30(value)) - exact
    assert abs(error) <= tolerance(exact, Fraction(numerator, denominator), bits)


@given(st.integers(-0x80000, 0x7FFFF), st.integers(-0x80000, 0x7FFFF))
@settings(deadline=None)
def test_ratio_keeps_order(low, high):
    scale = Ratio(312500, 20000, 20)
    low, high = min(low, high), max(low, high)
    assert scale.apply(low) <= scale.apply(high)


@pytest.mark.parametrize(("numerator", "denominator"), [(0, 1), (1, 0), (-1, 1)])
def test_ratio_refuses_what_is_not_positive(numerator, denominator):
    with pytest.raises(ValueError, match="not positive"):
        Ratio(numerator, denominator, 20)


def test_a_shunt_whose_full_scale_current_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="30 bits"):
        ina228.INA228(None, 0x40, 100)  # 163.84 mV over 0.1 mOhm is 1638 A


@given(st.integers(0, 0xFFFFFF))
@settings(deadline=None)
def test_signed_undoes_twos_complement(word):
    assert signed(word, 24) & 0xFFFFFF == word
    assert -0x800000 <= signed(word, 24) <= 0x7FFFFF


class _Counts:
    status = 0
    error_count = 0
    counts = 0

    def update(self):
        return True


@given(st.integers(-0x800000, 0x7FFFFF), st.integers(-0x800000, 0x7FFFFF), st.integers(1, 20000000))
@settings(deadline=None)
def test_load_cell_pressure_is_exact_to_a_kilopascal(counts, zero_counts, ppb):
    adc = _Counts()
    adc.counts = Int30(counts)
    cell = LoadCell(adc, zero_counts, ppb)
    assert cell.update()
    exact = Fraction((counts - zero_counts) * ppb, 10**9)
    assert abs(cell.pressure_kpa - exact) <= 1 + abs(exact) / 50000


class _Dac:
    def __init__(self):
        self.code = 0
        self.writes = 0
        self.acknowledges = True
        self.status = self.error_count = 0

    def write(self, code):
        self.writes += 1
        if self.acknowledges:
            self.code = code
        return self.read_back()

    def read_back(self):
        self.status = 0 if self.acknowledges else BUS_ERROR
        return self.acknowledges


@given(st.integers(-1000, 300000), st.integers(1, 262000))
@settings(deadline=None)
def test_regulator_never_commands_more_than_asked(kpa, full_scale_kpa):
    dac = _Dac()
    regulator = ElectroPneumatic(dac, full_scale_kpa)
    assert regulator.command_kpa(Int30(kpa))
    asked = min(max(kpa, 0), full_scale_kpa)
    assert 0 <= asked - Fraction(dac.code * full_scale_kpa, 4095) < Fraction(full_scale_kpa, 4095)
    assert regulator.commanded_kpa == asked


def test_regulator_stays_below_its_maximum():
    dac = _Dac()
    regulator = ElectroPneumatic(dac, 10000, 8000)
    regulator.command_kpa(9000)
    assert regulator.commanded_kpa == 8000
    assert dac.code == 8000 * 4095 // 10000


def test_regulator_writes_only_when_the_code_changes():
    dac = _Dac()
    regulator = ElectroPneumatic(dac, 10000)
    for _ in range(5):
        regulator.command_kpa(5000)
    assert dac.writes == 1


def test_regulator_writes_again_after_a_missing_acknowledge_once_its_dac_was_heard():
    dac = _Dac()
    regulator = ElectroPneumatic(dac, 10000)
    dac.acknowledges = False
    assert not regulator.command_kpa(5000)
    assert regulator.commanded_kpa == 0
    dac.acknowledges = True
    assert not regulator.command_kpa(5000)
    assert dac.writes == 1
    assert regulator.verify()
    assert regulator.command_kpa(5000)
    assert regulator.commanded_kpa == 5000
