"""The open-circuit voltage of a rested cell, from the flat layout alone: for whoever has no filter at hand."""

from assb.const import const

# Places in the flat layout (a test compares)
_OCV_V = const(2)
_OCV_DEGC = const(260)
_ENTROPY_V_PER_K = const(261)
_HYSTERESIS_V = const(404)
_LAST_KNOT = const(128)


def rested_voltage(params, soc, temperature_degc):
    """OCV at this SOC, held at 0 and 1: the other way round than rested_soc."""
    place = min(max(soc, 0.0), 1.0) * _LAST_KNOT
    knot = min(int(place), _LAST_KNOT - 1)
    low_v = params[_OCV_V + knot]
    ocv_v = low_v + (place - knot) * (params[_OCV_V + knot + 1] - low_v)
    return ocv_v + params[_ENTROPY_V_PER_K] * (temperature_degc - params[_OCV_DEGC])


def rests_at(params, voltage_v, temperature_degc, soc, soc_reach, margin_v):
    """Whether a rested cell whose SOC lies within soc +- soc_reach may show this voltage; hysteresis is unknown."""
    margin_v = margin_v + params[_HYSTERESIS_V]
    low_v = rested_voltage(params, soc - soc_reach, temperature_degc) - margin_v
    high_v = rested_voltage(params, soc + soc_reach, temperature_degc) + margin_v
    return low_v <= voltage_v <= high_v
