"""Which package may import which: the arrows of DESIGN.md, checked by walking the imports of every source file.

python host_tools/checks/import_arrows.py     exit 1 and one line per import that points the wrong way
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "assb": "firmware/assb",
    "assb_host": "host_tools/assb_host",
    "assb_kernels": "cffi_kernels/assb_kernels",
    "assb_hil": "hil_tests/assb_hil",
    "assb_configs": "board_configs",
}
OURS = tuple(PACKAGES)
# Interpreter and hardware: what a pure module must not know
HARDWARE = ("machine", "time", "os", "sys", "select", "socket", "rp2", "esp32", "utime", "uos", "vfs")
PURE = (*HARDWARE, "assb.drivers", "assb.port", "assb.app", "assb.board", "assb_host", "assb_kernels", "assb_hil")

# (module prefix, forbidden prefixes, why); every row that fits a module applies to it
RULES = (
    ("assb", ("assb_host", "assb_kernels", "assb_hil", "assb_configs"), "the firmware knows nothing of the host"),
    ("assb.protocol", PURE, "the protocol is pure"),
    ("assb.estimation", PURE, "estimation is pure: time and inputs are passed in"),
    ("assb.detection", PURE, "detection is pure: time and inputs are passed in"),
    ("assb.control", PURE, "control is pure: time and inputs are passed in"),
    (
        "assb.storage",
        ("assb.app", "assb.board", "assb.drivers", "assb.control", "assb.detection", "assb.port"),
        "storage keeps what it is handed",
    ),
    (
        "assb.drivers",
        (
            "assb.protocol.frame",
            "assb.protocol.commands",
            "assb.telemetry",
            "assb.console_commands",
            "assb.app",
            "assb.port",
            "assb.control",
            "assb.estimation",
            "assb.detection",
        ),
        "drivers do not know the link or the rules",
    ),
    (
        "assb.port",
        ("assb.app", "assb.control", "assb.estimation", "assb.detection", "assb.drivers"),
        "port holds interpreter differences alone",
    ),
    ("assb_kernels", ("assb", "assb_host", "assb_hil", "assb_configs"), "the kernels depend on nothing of ours"),
    ("assb_host", ("assb_hil",), "assb_hil adds to the host through entry points"),
    ("assb_configs", OURS, "board_configs is data"),
)
# The host may use these parts of the firmware and no others
HOST_MAY_IMPORT = ("assb.protocol", "assb.estimation", "assb.detection")
# A raw recording is replayed through the very steps of a cell that the board ran
REPLAY_MAY_IMPORT = ("assb.cells", "assb.settings", "assb.signals", "assb.slow_stream")
# The package itself: where it lies, and its version
HOST_MAY_NAME = ("assb", "assb.VERSION")


def modules(root: Path) -> Iterator[tuple[str, Path]]:
    """(dotted name, file) of every module of our packages under `root`."""
    for package, folder in PACKAGES.items():
        for path in sorted((root / folder).rglob("*.py")):
            parts = path.relative_to(root / folder).with_suffix("").parts
            if parts and parts[-1] == "__init__":
                parts = parts[:-1]
            yield ".".join((package, *parts)), path


def imports(module: str, path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything that a file imports; names from a package count as its modules."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join([*parts[: len(parts) - node.level + 1], *([base] if base else [])])
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def inside(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def objection(module: str, name: str) -> str:
    """Why `module` may not import `name`; empty when it may."""
    for prefix, forbidden, why in RULES:
        if inside(module, prefix) and any(inside(name, other) for other in forbidden):
            return why
    if inside(module, "assb_host") and inside(name, "assb"):
        parts = HOST_MAY_IMPORT + (REPLAY_MAY_IMPORT if inside(module, "assb_host.replay") else ())
        allowed = any(inside(name, part) for part in parts) or name in HOST_MAY_NAME
        return "" if allowed else f"the host uses only {', '.join(HOST_MAY_IMPORT)} of the firmware"
    return ""


def wrong_arrows(root: Path) -> list[str]:
    """One line per import that points the wrong way."""
    found = []
    for module, path in modules(root):
        for line, name in imports(module, path):
            why = objection(module, name)
            if why:
                found.append(f"{path.relative_to(root)}:{line}: {module} imports {name}: {why}")
    return found


def main() -> int:
    found = wrong_arrows(ROOT)
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
