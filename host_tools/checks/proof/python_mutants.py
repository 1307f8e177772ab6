"""Every mutant of a Python module: operators, comparisons, numbers, conditions, deleted statements; and of its tables.

Tables, at module level, are tuples of rows (supervisor) or text with a row a line (limit rows): there a number moves by
one, a name becomes another, a word its neighbour, a row goes or changes places with the next.
"""

import ast
import copy
from collections.abc import Iterator
from pathlib import Path

from mutants import Mutant, Namer

COMPARISONS: dict[type, tuple[type, ...]] = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}  # fmt: skip
OPERATORS: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
    ast.BitXor: ast.BitOr,
}  # fmt: skip
DELETABLE = (ast.Assign, ast.AugAssign, ast.Expr, ast.Return, ast.Break, ast.Continue, ast.Raise)
# Words of a limit row that have a neighbour
WORDS = {
    "high": "low", "low": "high", "stale": "high", "always": "connected", "connected": "always", "log": "derate",
    "derate": "no_charge", "no_charge": "no_discharge", "no_discharge": "stop", "stop": "open", "open": "stop",
    "lockout": "open", "cell": "pack", "pack": "cell",
}  # fmt: skip


class Module:
    """One file and its changes: `mutants` and, for each, the whole text that it makes."""

    def __init__(self, path: Path, name: str, tables: tuple[str, ...] = ()) -> None:
        self.path, self.name = path, name
        self.source = path.read_text(encoding="utf-8")
        self.mutants: list[Mutant] = []
        self.texts: list[str] = []
        self._namer = Namer()
        self._lines = self.source.splitlines(keepends=True)
        tree = ast.parse(self.source)
        self.builders = {call.func.id for node in tree.body if isinstance(node, ast.Assign) for call in ast.walk(node)
                         if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)}  # fmt: skip
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                self._walk(node, node.name)
            elif isinstance(node, ast.Assign):
                target = ast.unparse(node.targets[0])
                if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
                    self._text_table(node.value, target) if target in tables else None
                else:
                    self._expressions(node.value, target)
                    self._rows(node.value, target)

    def _walk(self, node: ast.AST, where: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                self._walk(child, f"{where}.{child.name}")
            elif isinstance(child, ast.stmt):
                self._statement(child, where)
                self._walk(child, where)
            elif isinstance(child, ast.expr) and not isinstance(node, ast.ClassDef | ast.FunctionDef):
                self._expressions(child, where)

    def _statement(self, node: ast.stmt, where: str) -> None:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return  # a docstring
        if isinstance(node, DELETABLE):
            self._change(node, "return" if _told(node) else "pass", where, "(deleted)")
        if isinstance(node, ast.AugAssign) and type(node.op) in OPERATORS:
            self._replace(node, "op", OPERATORS[type(node.op)](), where)
        if isinstance(node, ast.If | ast.While):
            self._condition(node.test, where)

    def _condition(self, test: ast.expr, where: str) -> None:
        """What is no comparison is negated: those change by their operators."""
        if not isinstance(test, ast.Compare | ast.BoolOp | ast.Constant):
            self._change(test, f"not ({ast.unparse(test)})", where)

    def _expressions(self, root: ast.expr, where: str) -> None:
        for node in ast.walk(root):
            if isinstance(node, ast.Compare):
                for at, op in enumerate(node.ops):
                    for other in COMPARISONS[type(op)]:
                        changed = copy.deepcopy(node)
                        changed.ops[at] = other()
                        self._change(node, ast.unparse(changed), where)
            elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
                self._replace(node, "op", OPERATORS[type(node.op)](), where)
            elif isinstance(node, ast.BoolOp):
                self._replace(node, "op", ast.And() if isinstance(node.op, ast.Or) else ast.Or(), where)
            elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not | ast.Invert):
                self._change(node, ast.unparse(node.operand), where)
            elif isinstance(node, ast.IfExp):
                self._condition(node.test, where)
            elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
                self._change(node, _other(node.value), where)

    def _rows(self, value: ast.expr, where: str) -> None:
        """Rows of a table of tuples: gone, and in the next one's place; names of them: none, and another bit."""
        if not (isinstance(value, ast.Tuple) and all(isinstance(row, ast.Tuple) for row in value.elts)):
            return
        texts = [ast.unparse(row) for row in value.elts]
        for at, row in enumerate(value.elts):
            self._change(row, "*()", where, "(row deleted)")
            if at and texts[at] != texts[at - 1]:
                before = value.elts[at - 1]
                self._span(before, row, f"{texts[at]}, {texts[at - 1]}", where, f"({texts[at]} first)")
            for name in (node for node in ast.walk(row) if isinstance(node, ast.Name) and node.id.isupper()):
                self._change(name, "0", where)
                self._change(name, f"({name.id} ^ 1)", where)

    def _text_table(self, value: ast.Constant, where: str) -> None:
        """Rows of a table that is text: the ends of words are where the lines have them."""
        for at in range(value.lineno, value.end_lineno or value.lineno):
            line = self._lines[at].rstrip("\n")
            words = line.split(" ")
            if len(words) < 2:
                continue
            for place, word in enumerate(words):
                number = word.lstrip("-").isdigit()
                others = [str(int(word) + 1), str(int(word) - 1)] if number else [WORDS[word]] if word in WORDS else []
                for other in others:
                    changed = " ".join([*words[:place], other, *words[place + 1 :]])
                    self._whole_line(at, line, changed, where)
            self._whole_line(at, line, None, where)

    def _whole_line(self, at: int, line: str, changed: str | None, where: str) -> None:
        lines = [*self._lines[:at], *([] if changed is None else [changed + "\n"]), *self._lines[at + 1 :]]
        self.mutants.append(self._namer.mutant(self.name, at + 1, where, line, changed or "(row deleted)"))
        self.texts.append("".join(lines))

    def _replace(self, node: ast.AST, field: str, value: ast.AST, where: str) -> None:
        changed = copy.deepcopy(node)
        setattr(changed, field, value)
        self._change(node, ast.unparse(changed), where)

    def _change(self, node, text: str, where: str, told: str = "") -> None:
        self._span(node, node, text if told or not isinstance(node, ast.expr) else f"({text})", where, told or text)

    def _span(self, first, last, text: str, where: str, told: str) -> None:
        begin, end = self._offset(first.lineno, first.col_offset), self._offset(last.end_lineno, last.end_col_offset)
        before = self.source[begin:end]
        self.mutants.append(self._namer.mutant(self.name, first.lineno, where, before, told))
        self.texts.append(self.source[:begin] + text + self.source[end:])

    def _offset(self, line: int, column: int) -> int:
        text = self._lines[line - 1].encode()[:column].decode()
        return sum(len(one) for one in self._lines[: line - 1]) + len(text)


def _told(node: ast.stmt) -> bool:
    """A return of something, of which a plain one takes the place: that of nothing, or of False, would say the same."""
    if not isinstance(node, ast.Return) or node.value is None:
        return False
    return not isinstance(node.value, ast.Constant) or bool(node.value.value)


def _other(value: float) -> str:
    if isinstance(value, bool):
        return str(not value)
    return str(value + 1) if isinstance(value, int) else repr(value * 1.25 or 1.0)


def functions(tree: ast.Module) -> Iterator[tuple[str, int, int]]:
    """(dotted name, first line, last line) of every function."""
    stack: list[tuple[str, ast.AST]] = [("", tree)]
    while stack:
        prefix, node = stack.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                name = f"{prefix}.{child.name}".lstrip(".")
                stack.append((name, child))
                if isinstance(child, ast.FunctionDef):
                    yield name, child.lineno, child.end_lineno or child.lineno
