"""pytest plugin: fixtures `dut` and `rig`, the option `--dut`, and checks after every test that used them.

    def test_something(rig, dut):
        dut.run_until(rig.origin_us + 2_000_000)

The board carries the reference pack and has its power on; `@pytest.mark.bench(soc_frac=0.9, trips=("soft_short",))`
changes the start and says which limit rows may trip. After the test: no other trip, no unexpected event (but those in
`events`), no refused command, no damaged or lost frame, one start (or as many as `starts` says), no watchdog reset,
heap low water kept.

The trace hash of such a board, as of `assb hil run`, is that of a first boot; `assb demo` flashes its board over the
port, one boot more, and so has another.
"""

from collections.abc import Iterator
from typing import Any

import pytest

PACK = "li_lpscl_nca"
PLANT = "li_lpscl_nca"
MARKER = (
    "bench(soc_frac, temperature_degc, pressure_mpa, seed, trips, events, starts): start of the rig, and what may "
    "happen on it"
)
SETTLED_S = 2.0  # a test that ends sooner has not heard enough to judge the heap


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("assb", "hardware in the loop")
    group.addoption(
        "--dut", default="virtual", help="device under test for the fixtures dut and rig (default: virtual)"
    )
    group.addoption(
        "--all-cuts",
        action="store_true",
        help="cut the power at every flash operation of every writer, and try all cases elsewhere, not a sample",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)


@pytest.fixture
def hil_session(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A running session: rig, device and recorder. Most tests want `rig` and `dut`."""
    from assb_hil.session import open_session

    with open_session(
        bench_scenario(request.node.get_closest_marker("bench")), str(request.config.getoption("--dut"))
    ) as session:
        session.start()
        yield session
        demand_health(session)


@pytest.fixture
def rig(hil_session: Any) -> Any:
    """The simulated bench around the device: plant, sensors, chips, faults, recorder."""
    return hil_session.rig


@pytest.fixture
def dut(hil_session: Any) -> Any:
    """The device under test, power on."""
    return hil_session.dut


def bench_scenario(marker: pytest.Mark | None) -> Any:
    """A scenario without a plot, started as the test's marker says."""
    from pathlib import Path

    from assb_hil.scenario import Host, Scenario, Start

    wanted = dict(marker.kwargs) if marker else {}
    trips, events = wanted.pop("trips", ()), wanted.pop("events", ())
    seed, starts = wanted.pop("seed", 1), wanted.pop("starts", 1)
    return Scenario(
        name="bench", path=Path("bench"), title="A test's own bench", pack=PACK, plant=PLANT, duration_s=float("inf"),
        start=Start(**{"soc_frac": 0.5, "pressure_mpa": 0.1, **wanted}), seed=seed, host=Host(arm_at_s=None),
        expected_trips=tuple(trips), expected_events=tuple(events), expected_starts=starts,
    )  # fmt: skip


def demand_health(session: Any) -> None:
    """Fails the test for each post-run check that does not hold."""
    from assb_hil.health import health_verdicts

    if session.t_s < SETTLED_S:
        return
    broken = [
        f"{v.name}: {v.value}, limit {v.limit} {v.unit}".rstrip() for v in health_verdicts(session) if not v.passed
    ]
    if broken:
        pytest.fail("after the test: " + "; ".join(broken), pytrace=False)
