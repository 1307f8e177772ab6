"""A run of all tests fails when a requirement of docs/requirements.toml has a test that did not run or did not pass."""

import importlib.util
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("assb", deadline=None, derandomize=True)  # the same wherever and however slowly it runs
settings.register_profile("few", settings.get_profile("assb"), max_examples=10)  # where each is slow
settings.load_profile("assb")

_PAGE = Path(__file__).with_name("host_tools") / "checks" / "requirements_page.py"


class Requirements:
    """Judges the whole run at its end."""

    def __init__(self) -> None:
        self.passed: set[str] = set()
        self.others: set[str] = set()  # failed, skipped
        self.unproven: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self.passed.add(report.nodeid)
        elif not report.passed:
            self.others.add(report.nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if hasattr(session.config, "workerinput"):
            return  # one of several processes: the one that started them knows of all tests
        if not whole(session.config) or exitstatus != pytest.ExitCode.OK:
            return
        spec = importlib.util.spec_from_file_location("requirements_page", _PAGE)
        assert spec and spec.loader
        checks = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(checks)
        rows = checks.requirements(Path(session.config.rootpath) / "docs" / "requirements.toml")
        self.unproven = checks.unproven(rows, self.passed, self.others)
        if self.unproven:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter) -> None:
        if self.unproven:
            terminalreporter.section("unproven requirements")
            for line in self.unproven:
                terminalreporter.write_line(line)


def whole(config: pytest.Config) -> bool:
    """Whether all tests were asked for."""
    chosen = config.option.keyword or config.option.markexpr or config.option.deselect or config.option.collectonly
    return not chosen and config.args_source is pytest.Config.ArgsSource.TESTPATHS


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Requirements(), "requirements")
