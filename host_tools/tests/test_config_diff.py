"""What `assb config diff` says: every value that differs, by name, and nothing else."""

import json

from assb.protocol.image import decode
from assb_host.commands.config import config
from assb_host.config import build_image, load_pack
from assb_host.config.difference import differences
from click.testing import CliRunner


def test_the_difference_of_two_packs_names_what_was_changed_and_only_that():
    changes = {"pressure.target_mpa": 5.2, "limits.cell_overvoltage.trip_v": 4.36}
    shipped, changed = (build_image(load_pack("li_lpscl_nca", changes=more)) for more in ({}, changes))
    assert list(differences(shipped, changed)) == [
        ("pressure_target_kpa", 5000, 5200),
        ("cell_overvoltage.trip", decode(shipped).limits[0][6], 4360000),
    ]
    assert list(differences(shipped, shipped)) == []


def test_another_board_and_another_cell_show_in_devices_and_tables():
    first, second = (
        build_image(load_pack("li_lpscl_nca", board=board)) for board in ("virtual-pico", "virtual-heated")
    )
    assert ("board", "virtual-pico", "virtual-heated") in differences(first, second)
    assert ("heater[0]", "-", "fitted") in differences(first, second)
    other = build_image(load_pack("lto_nmc"))
    assert any(what.startswith("estimator.ocv_v (") for what, _, _ in differences(first, other))


def test_diff_exits_with_1_only_when_something_differs(tmp_path):
    image = tmp_path / "config.bin"
    image.write_bytes(build_image(load_pack("li_lpscl_nca")))
    same = CliRunner().invoke(config, ["diff", "li_lpscl_nca", str(image)], standalone_mode=False)
    other = CliRunner().invoke(config, ["diff", "li_lpscl_nca", "lto_nmc", "--json"], standalone_mode=False)
    assert (same.return_value, same.output) == (0, "no difference\n")
    assert other.return_value == 1
    assert {"what": "pack", "first": "li_lpscl_nca", "second": "lto_nmc"} in json.loads(other.output)
