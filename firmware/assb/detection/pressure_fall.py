"""Evidence 10, mechanical: pressure falls in a rest faster than creep, whose rate goes as 1/t.

Creep decays and a leak stays; as creep alone lowers pressure too, fusion believes it only beside evidence of charge.
"""

from assb.const import const

from . import LEARNING

_PRESSURE_FALL = const(9)

# Places in the group `detection` of the parameters (a test compares)
_REST_WINDOW_S = const(28)
_REST_RATIO = const(29)
_REST_LEAK_C = const(30)
_GAP_SWELLING_UM = const(37)
_GAP_STIFFNESS_MPA_PER_UM = const(38)


def see_pressure_fall(cell, rest):
    """Every second; `rest`: the cell's RestDecay, which keeps the windows."""
    q = cell.q
    swelling_um, stiffness_mpa_per_um = q[_GAP_SWELLING_UM], q[_GAP_STIFFNESS_MPA_PER_UM]
    if not cell.has_gap or swelling_um <= 0 or stiffness_mpa_per_um <= 0 or rest.windows < 1:
        cell.say_nothing(_PRESSURE_FALL)
        return
    middle_s = rest.rest_s - 0.5 * q[_REST_WINDOW_S]
    if rest.windows < 2:
        rest.expected_mpa = abs(rest.fall_mpa_per_s) * middle_s
        cell.tell(_PRESSURE_FALL, LEARNING, 0.0)
        return
    floor = stiffness_mpa_per_um * swelling_um * q[_REST_LEAK_C] / 3600
    most = q[_REST_RATIO] * max(rest.expected_mpa / middle_s, floor)
    cell.judge(_PRESSURE_FALL, rest.fall_mpa_per_s / most)
