"""What the set-up needs and pip would fail without, each named with the command that installs it.

Runs before there is a venv, on whatever python3 is there, so it keeps to old syntax and the standard library.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile

LEAST = (3, 11)


def python_problem():
    if sys.version_info[:2] < LEAST:
        seen = "%d.%d" % sys.version_info[:2]
        return "Python %d.%d or newer; this is %s (%s)" % (LEAST[0], LEAST[1], seen, sys.executable), (
            "sudo apt install python3.11 python3.11-venv python3.11-dev   then: make PYTHON=python3.11"
        )
    return None


def venv_problem():
    """Debian ships venv without ensurepip until python3-venv is installed."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return "the venv module", "sudo apt install python%d.%d-venv" % sys.version_info[:2]
    return None


def header_problem():
    header = os.path.join(sysconfig.get_paths()["include"], "Python.h")
    if not os.path.exists(header):
        return "Python.h (%s)" % header, "sudo apt install python%d.%d-dev" % sys.version_info[:2]
    return None


def compiler():
    """Command line of the C compiler that the build will call: CC, else the one that made the interpreter."""
    return (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()


def compiler_problem():
    command = compiler()
    if shutil.which(command[0]) is None:
        return "a C compiler: there is no `%s`" % command[
            0
        ], "sudo apt install build-essential   (macOS: xcode-select --install)"
    folder = tempfile.mkdtemp()
    try:
        source = os.path.join(folder, "try.c")
        with open(source, "w") as file:
            file.write("#include <stddef.h>\n#include <stdlib.h>\nint main(void) { return 0; }\n")
        done = subprocess.run(
            command + [source, "-o", os.path.join(folder, "try")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    finally:
        shutil.rmtree(folder)
    if done.returncode:
        text = done.stdout.decode("utf-8", "replace").strip().split("\n")[-1]
        return "a C compiler that works; `%s` says: %s" % (" ".join(command), text), "sudo apt install build-essential"
    return None


# What pip needs for the C kernels (setup.py), and `make` for a venv with them
BUILD_PROBLEMS = (python_problem, header_problem, compiler_problem)
SETUP_PROBLEMS = (python_problem, venv_problem, header_problem, compiler_problem)


def report(checks):
    """Name on stderr what is missing, each with its remedy; how many there are."""
    missing = [problem for problem in [check() for check in checks] if problem]
    for what, remedy in missing:
        sys.stderr.write("missing: %s\n  install it: %s\n" % (what, remedy))
    return len(missing)


if __name__ == "__main__":
    sys.exit(1 if report(SETUP_PROBLEMS) else 0)
