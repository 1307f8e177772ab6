"""Which native estimator goes onto a board: its own architecture's and .mpy version's, or none; told before writing."""

import dataclasses

import pytest
from assb_host.errors import MismatchError, ToolError
from assb_host.flash import native_kernel
from assb_host.flash.flasher import differences
from assb_host.flash.identity import Identity, with_kernel
from assb_host.flash.native_kernel import ARCHITECTURES, BOARD_PATH, FILE_NAME, KernelSource, kernel_source, read_native
from assb_host.flash.plan import FlashPlan

ABI = (6, 3)


def mpy(architecture="x64", version=6, sub_version=3):
    """Bytes with the header of a native module."""
    return bytes([ord("M"), version, ARCHITECTURES.index(architecture) << 2 | sub_version, 31]) + b"code"


def identity(architecture="x64"):
    number = 6 | 3 << 8 | ARCHITECTURES.index(architecture) << 10
    return Identity("micropython", (1, 28, 0), number, "rp2", "", "", 196608, 10**6, 10**6, 4096)


@pytest.fixture
def folder(tmp_path):
    """What `make natmod` leaves: a module for each of two architectures."""
    for architecture in ("x64", "armv6m"):
        (tmp_path / architecture).mkdir()
        (tmp_path / architecture / FILE_NAME).write_bytes(mpy(architecture))
    return tmp_path


def board_file(architecture):
    """As much of a board file as the choice looks at."""
    micropython = dataclasses.make_dataclass("MicroPython", ["architecture"])(architecture)
    return dataclasses.make_dataclass("Board", ["micropython"])(micropython)


def test_the_header_says_architecture_and_version(folder):
    native = read_native(folder / "armv6m" / FILE_NAME)
    assert (native.architecture, native.abi) == ("armv6m", ABI)


@pytest.mark.parametrize(
    ("data", "seen"),
    [(b"", "not a .mpy"), (b"ELF and more", "not a .mpy"), (mpy()[:3], "not a .mpy"), (mpy(""), "bytecode")],
)
def test_a_file_without_machine_code_is_refused(tmp_path, data, seen):
    path = tmp_path / FILE_NAME
    path.write_bytes(data)
    with pytest.raises(ToolError, match=seen):
        read_native(path)


def test_a_path_that_is_not_there_is_refused_before_a_port_is_opened(tmp_path):
    with pytest.raises(ToolError, match="no such file"):
        kernel_source(str(tmp_path / "nothing"))


@pytest.mark.parametrize("architecture", ["x64", "armv6m"])
def test_the_board_gets_its_own_architectures_module_from_a_folder(folder, architecture):
    plan = with_kernel(identity(architecture), FlashPlan({}, kernel=KernelSource(folder)), "port")
    assert plan.files == {BOARD_PATH: mpy(architecture)}


@pytest.mark.parametrize("architecture", ["rv32imc", ""])
def test_a_demanded_module_that_is_not_there_is_refused(folder, architecture):
    with pytest.raises(MismatchError, match="no native module for"):
        with_kernel(identity(architecture), FlashPlan({}, kernel=KernelSource(folder)), "port")


def test_a_file_for_another_architecture_is_refused(folder):
    plan = FlashPlan({}, kernel=KernelSource(folder / "armv6m" / FILE_NAME))
    with pytest.raises(MismatchError, match="is for armv6m, the board runs x64"):
        with_kernel(identity("x64"), plan, "port")


@pytest.mark.parametrize("abi", [{"version": 5}, {"sub_version": 2}])
def test_a_file_of_another_mpy_version_is_refused(folder, abi):
    (folder / "x64" / FILE_NAME).write_bytes(mpy(**abi))
    with pytest.raises(MismatchError, match=r"the board loads 6\.3"):
        with_kernel(identity("x64"), FlashPlan({}, kernel=KernelSource(folder)), "port")


def test_without_an_option_the_build_folder_is_looked_in_and_may_be_empty(folder, monkeypatch, tmp_path):
    plan = FlashPlan({}, kernel=kernel_source(""))
    monkeypatch.setattr(native_kernel, "build_folder", lambda: folder)
    assert BOARD_PATH in with_kernel(identity("x64"), plan, "port").files
    assert with_kernel(identity("rv32imc"), plan, "port") is plan
    monkeypatch.setattr(native_kernel, "build_folder", lambda: tmp_path / "nothing")
    assert with_kernel(identity("x64"), plan, "port") is plan


def test_none_is_bytecode_alone(folder):
    plan = FlashPlan({}, kernel=kernel_source("none"))
    assert with_kernel(identity("x64"), plan, "port") is plan


@pytest.mark.parametrize("described", ["", "armv6m"])
def test_a_board_file_that_names_another_architecture_leaves_it_at_bytecode(folder, monkeypatch, described):
    monkeypatch.setattr(native_kernel, "build_folder", lambda: folder)
    plan = FlashPlan({}, board_file(described), kernel=kernel_source(""))
    assert with_kernel(identity("x64"), plan, "port") is plan
    with pytest.raises(MismatchError):
        with_kernel(identity("x64"), dataclasses.replace(plan, kernel=KernelSource(folder)), "port")


def test_a_board_that_runs_the_twin_although_it_has_a_native_module_is_told():
    plan = FlashPlan({BOARD_PATH: mpy()}, version=(0, 1, 0), schema_id=1)
    hello = {"version_major": 0, "version_minor": 1, "version_patch": 0, "schema_id": 1, "estimator": 1}
    assert differences(hello, plan) == []
    assert ["twin" in text for text in differences({**hello, "estimator": 0}, plan)] == [True]


@pytest.mark.parametrize(
    ("number", "architecture"),
    [(2822, "x64"), (6918, "armv7m"), (77574, "rv32imc"), (6 | 3 << 8, "")],  # as ports of 1.28 say it, flags and all
)
def test_the_boards_own_number_says_its_architecture(number, architecture):
    seen = dataclasses.replace(identity(), mpy=number)
    assert (seen.architecture, seen.mpy_abi) == (architecture, ABI)
