"""The build: declarations come from the headers alone, and the estimator carries nothing that a board lacks."""

import re
import shutil
import subprocess

import pytest
from assb_kernels import _kernels, build_kernels

PARTS = ("estimator", "learning", "pressure_soc")
ESTIMATOR_SOURCES = tuple(f"assb_{part}_f{bits}.c" for part in PARTS for bits in (32, 64))


def compiler() -> str:
    found = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if found is None:
        pytest.skip("no C compiler on PATH: apt install gcc")
    return found


def compiled(source: str, out, *flags: str):
    target = out / (source + ".o")
    include = f"-I{build_kernels.KERNELS / 'include'}"
    args = [*build_kernels.COMPILE_ARGS, "-Werror", *flags, include, "-c", str(build_kernels.KERNELS / "src" / source)]
    subprocess.run([compiler(), *args, "-o", str(target)], check=True, capture_output=True)
    return target


def symbols(path, *flags: str) -> list[str]:
    if shutil.which("nm") is None:
        pytest.skip("no nm on PATH: apt install binutils")
    done = subprocess.run(["nm", *flags, str(path)], check=True, capture_output=True, text=True)
    return [line.split()[-1] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("source", ESTIMATOR_SOURCES)
def test_estimator_needs_no_library_and_has_no_globals(source, tmp_path):
    built = compiled(source, tmp_path)
    wanted = {name for name in symbols(built, "-u") if not name.startswith("assb_est_")}
    assert wanted <= {"memcpy", "memset", "_GLOBAL_OFFSET_TABLE_"}
    data = subprocess.run(["nm", str(built)], check=True, capture_output=True, text=True).stdout
    assert not re.search(r" [BbDdC] ", data)


def test_shared_object_exports_only_its_init():
    exported = symbols(_kernels.__file__, "-D", "--defined-only")
    assert [name for name in exported if name.startswith("assb_")] == []


@pytest.mark.parametrize("source", build_kernels.SOURCES)
def test_sources_compile_without_a_warning(source, tmp_path):
    compiled(source, tmp_path, "-Wpedantic", "-Wshadow", "-Wconversion" if "f64" in source else "-Wall")


def test_a_header_without_markers_is_refused(tmp_path, monkeypatch):
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "plain.h").write_text("int f(void);\n")
    monkeypatch.setattr(build_kernels, "KERNELS", tmp_path)
    with pytest.raises(ValueError, match=r"plain\.h: expected one pair of cdef markers, found 0"):
        build_kernels.declarations("plain.h")


def test_both_precisions_are_declared():
    text = build_kernels.cdef()
    assert "float assb_est_f32_rested_soc(const assb_est_f32_params *params" in text
    assert "double assb_est_f64_rested_soc(const assb_est_f64_params *params" in text
    assert "ASSB_REAL" not in text
