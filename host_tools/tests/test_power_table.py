"""What cells can take, as `assb monitor` shows it and as its JSON says it."""

import pytest
from assb.protocol import schema
from assb_host.link.decoder import Frame
from assb_host.link.picture import Picture, spelt
from assb_host.monitor.view import power_table

FIELDS = {
    "cell": 0, "charge_2s_ma": 600, "charge_10s_ma": 349, "charge_30s_ma": 120, "charge_10s_mw": 1300,
    "charge_bound": schema.BOUNDS.index("plating"), "discharge_2s_ma": 97, "discharge_10s_ma": 97,
    "discharge_30s_ma": 97, "discharge_10s_mw": 360, "discharge_bound": schema.BOUNDS.index("stripping"),
}  # fmt: skip


def picture() -> Picture:
    told = Picture()
    told.take(Frame(schema.POWER, "POWER", 0, 0, 1000, 0, FIELDS))
    return told


def test_limits_and_what_binds_are_one_row_of_each_cell():
    texts = [cell.text for cell in power_table(picture()).rows[0]]
    assert texts == ["0", "0.600/0.349/0.120", "plating", "0.097/0.097/0.097", "stripping"]


def test_json_has_physical_units_and_the_name_of_the_bound():
    cell = spelt(picture().cells[0])
    assert (cell["charge_10s_a"], cell["charge_10s_w"], cell["charge_bound"]) == (pytest.approx(0.349), 1.3, "plating")
    assert cell["discharge_bound"] == "stripping"
