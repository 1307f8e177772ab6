"""Recordings of one sound cell, measured: a profile fitted on its own pulses calls none of its logs a short."""

import json
from dataclasses import replace

import numpy as np
import pytest
from assb_host import cli
from assb_host.config.cell import load_cell
from assb_host.replay.pack_log import read_pack_log
from assb_host.replay.replay import replay
from reference_data import data_folder

NAMES = ("us06_25degc", "hppc_25degc", "hppc_0degc", "c20_ocv_25degc")


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    folder, out = data_folder("panasonic_18650pf"), tmp_path_factory.mktemp("replay") / "panasonic.toml"
    pulses = [str(folder / f"hppc_{degc}degc.csv.gz") for degc in (25, 0)]
    ocv = str(folder / "c20_ocv_25degc.csv.gz")
    assert cli.run(["cell", "fit", "--ocv", ocv, "--pulses", *pulses, "--out", str(out), "--json"]) == 0
    return out


@pytest.mark.parametrize("name", NAMES)
def test_a_sound_cell_is_not_alarmed(profile, name, capsys):
    log = data_folder("panasonic_18650pf") / f"{name}.csv.gz"
    assert cli.run(["replay", str(log), "--cell", str(profile), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["detectors"] == ["firmware"]
    assert [(cell["name"], cell["stage"]) for cell in found["cells"]] == [(name, "none")]
    assert found["events"] == []


def test_a_leak_of_c20_in_pulses_is_suspected(profile):
    """From the middle on the measured cell lost what the shunt would have had to bring, had there been a leak."""
    cell = load_cell(profile)
    log = read_pack_log(data_folder("panasonic_18650pf") / "hppc_25degc.csv.gz", cell)
    leak_a = np.where(np.arange(len(log.current_a)) < len(log.current_a) // 2, 0.0, cell.capacity_ah / 20)
    assert [verdict.stage for verdict in replay(cell, replace(log, current_a=log.current_a + leak_a)).verdicts] == [1]
