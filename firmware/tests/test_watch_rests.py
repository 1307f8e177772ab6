"""Rests that the watch for shorts asks for, in the whole firmware, with a cycler that obeys and one that does not."""

import pytest
from assb.estimation import twin
from assb_host.replay.host_kernel import host_kernel, install, uninstall
from bench import Bench

RESTS = {"watch_rest_every_s": 20, "watch_rest_s": 8, "watch_rest_most_s": 8}


def cycled(bench, seconds, wanted_ua=200000, until=None):
    """A cycler that obeys the enable lines, into a cell whose voltage follows its charge."""
    board = bench.board
    for _ in range(seconds):
        bench.send("lease")
        for _ in range(10):
            allowed = board.outputs[2] if wanted_ua > 0 else board.outputs[3]
            board.current_ua = wanted_ua if allowed else 0
            board.voltages_uv = [uv + board.current_ua // 18000 for uv in board.voltages_uv]  # 2 V/Ah, for 0.1 s
            bench.run(100)
            if until and until():
                return bench
    return bench


def of_pack(bench, *names):
    return tuple(bench.app.signals.value[bench.app.signals.pack(name)] for name in names)


LIMITS = ("charge_limit_ma", "discharge_limit_ma")


def in_a_rest(wanted_ua=200000, **parameters):
    bench = Bench(**RESTS | parameters).to_rest()
    cycled(bench, 40, wanted_ua, lambda: not bench.board.outputs[2])
    bench.board.current_ua = 0
    return bench


@pytest.mark.parametrize("wanted_ua", [200000, -200000])
def test_a_rest_takes_both_limits_and_both_lines_and_gives_them_back(wanted_ua):
    bench = Bench(**RESTS).to_rest()
    cycled(bench, 10, wanted_ua)
    assert bench.board.outputs == (1, 0, 1, 1)
    assert min(of_pack(bench, *LIMITS)) > 0
    cycled(bench, 15, wanted_ua, lambda: not bench.board.outputs[2])
    begun_ms = bench.clock.ms
    assert bench.board.outputs == (1, 0, 0, 0)
    assert of_pack(bench, *LIMITS, "watch_rest") == (0, 0, 1)
    bench = cycled(bench, 7, wanted_ua)
    assert bench.board.outputs == (1, 0, 0, 0) and bench.state == "REST"
    cycled(bench, 5, wanted_ua, lambda: bench.board.outputs[2])
    assert 8500 <= bench.clock.ms - begun_ms <= 10500  # its 8 s, and the second in which a limit must stay above 0
    assert bench.board.outputs == (1, 0, 1, 1)
    cycled(bench, 1, wanted_ua)
    assert min(of_pack(bench, *LIMITS)) > 0 and of_pack(bench, "watch_rest") == (0,)
    assert bench.state == ("CHARGE" if wanted_ua > 0 else "DISCHARGE")
    assert bench.tripped() == set()


def test_it_is_off_by_default():
    bench = Bench().to_rest()
    assert bench.app.rests is None
    cycled(bench, 60)
    assert bench.state == "CHARGE"
    assert of_pack(bench, "watch_rest") == (0,)


def test_it_ends_when_opened_and_the_next_precharge_is_not_disturbed():
    bench = in_a_rest(precharge_ms=500, watch_rest_s=60, watch_rest_most_s=60)
    bench.send("stop")
    bench.run(200)
    assert of_pack(bench, "watch_rest") == (0,)
    assert bench.board.outputs == (0, 0, 0, 0)
    del bench.board.history[:]
    bench.send("arm")
    bench.run(4500)
    assert bench.board.outputs == (1, 0, 1, 1) and bench.state == "REST"
    assert (0, 1, 0, 0) in bench.board.history


def test_a_cycler_that_does_not_obey_in_a_rest_is_a_forbidden_current():
    bench = in_a_rest()
    bench.board.current_ua = 200000
    bench.run(1000)
    assert "forbidden_current" in bench.tripped()
    assert bench.board.outputs == (0, 0, 0, 0)


def test_a_rest_lifts_nothing_that_a_row_forbids():
    bench = in_a_rest()
    bench.board.temperature_cdegc = 6300  # too hot to charge, not to discharge
    cycled(bench, 14)
    assert of_pack(bench, "watch_rest") == (0,)
    assert bench.board.outputs[2] == 0
    assert of_pack(bench, "charge_limit_ma") == (0,)


def test_nobody_is_bled_in_a_rest_of_the_watch():
    balance = {
        "balance_start_uv": 10000,
        "balance_stop_uv": 3000,
        "balance_least_uv": 3000000,
        "balance_rest_ms": 2000,
    }
    bench = Bench(2, **RESTS, **balance).to_rest()
    bench.board.voltages_uv = [3640000, 3600000]
    cycled(bench, 40, until=lambda: not bench.board.outputs[2])
    cycled(bench, 6)
    assert bench.state == "REST" and bench.board.current_ua == 0
    assert bench.board.bleeding == 0
    bench.app.rests.watch.end()
    bench.app.rests = None
    bench.app.derating.resting = 0
    cycled(bench, 6, wanted_ua=0)
    assert bench.board.bleeding == 0b01  # the same rest, asked for by nobody


@pytest.fixture(params=["twin", "native"])
def kernel(request):
    if request.param == "twin":
        yield twin
        return
    install(host_kernel())
    from assb.estimation import kernel as native

    yield native
    uninstall()


def test_the_score_of_missing_charge_is_the_one_that_telemetry_tells(kernel):
    bench = Bench(kernel=(kernel, 0, 0), **RESTS).to_rest()
    for _ in range(1200):
        bench.board.voltages_uv[0] -= 50  # C/7 at rest
        bench.run_leased(1000)
        score_milli = of_cell(bench, "leak_score_milli")
        if score_milli:
            break
    assert score_milli > 0
    bench.run_leased(1000)
    assert int(1000 * bench.app.rests._scores[0]) == of_cell(bench, "leak_score_milli") > 0


def of_cell(bench, name):
    return bench.app.signals.value[bench.app.signals.cell(0, name)]
