"""Every mutant of a C file in one build: each changed expression or deleted statement stands beside the original and is
chosen at run time by number, so that a run over thousands of mutants compiles once.

    a + b      becomes   (assb_on(7) ? (a - b) : (a + b))
    call(x);   becomes   { if (!assb_on(8)) { call(x); } }

assb_on(k) also notes that mutant k was reached, which tells which tests can kill it.

`x < y` of real numbers does not become `x <= y`: they differ where two computed numbers are the same to the last bit,
and there, at a clamp or a crossing, both ways out mostly are, too. The opposite, `x >= y`, stands for both.
"""

import re
import subprocess
import tempfile
from pathlib import Path

from mutants import Mutant, Namer
from pycparser import c_ast, c_generator, c_parser

ARITHMETIC = {"+": "-", "-": "+", "*": "/", "/": "*", "%": "*", "&": "|", "|": "&"}
LOGICAL = {"&&": "||", "||": "&&"}
# (one step across the boundary, the opposite)
COMPARISONS = {
    "<": ("<=", ">="),
    "<=": ("<", ">"),
    ">": (">=", "<="),
    ">=": (">", "<"),
    "==": ("!=",),
    "!=": ("==",),
}
COMPOUND = {"+=": "-=", "-=": "+=", "*=": "/=", "/=": "*="}
DELETABLE = (c_ast.Assignment, c_ast.FuncCall, c_ast.Break, c_ast.Continue)
DECIDES = (*COMPARISONS, *LOGICAL)
# What the preprocessor sees in place of the C library: the kernels use types of these and nothing else
LIBRARY = {
    "stddef.h": "typedef unsigned long size_t;\n",
    "stdint.h": "typedef unsigned char uint8_t;\ntypedef int int32_t;\ntypedef unsigned int uint32_t;\n",
}
CONTROL = """\
#include <stddef.h>
extern int assb_mutant;
extern unsigned char assb_reached[];
#define assb_on(k) (assb_reached[k] = 1, assb_mutant == (k))
"""


class Catalogue:
    """Numbers for mutants. The same change in another build of a file (single, double precision) has the same."""

    def __init__(self) -> None:
        self.mutants: list[Mutant] = []
        self._number: dict[Mutant, int] = {}

    def number(self, mutant: Mutant) -> int:
        if mutant not in self._number:
            self._number[mutant] = len(self.mutants)
            self.mutants.append(mutant)
        return self._number[mutant]


class _Reals:
    """Which names of a file are of real numbers, everywhere that they are declared."""

    def __init__(self, tree: c_ast.Node) -> None:
        self._declared: dict[str, set[bool]] = {}
        self._note(tree)

    def _note(self, node: c_ast.Node) -> None:
        if isinstance(node, (c_ast.Decl, c_ast.Typedef)) and node.name:
            self._declared.setdefault(node.name, set()).add(self._type(node.type))
        for _, part in node.children() or ():
            self._note(part)

    def _type(self, node: c_ast.Node) -> bool:
        while not isinstance(node, c_ast.IdentifierType):
            if not isinstance(node, (c_ast.TypeDecl, c_ast.PtrDecl, c_ast.ArrayDecl, c_ast.FuncDecl, c_ast.Typename)):
                return False
            node = node.type
        return node.names[-1] in ("float", "double") or self._name(node.names[-1])

    def _name(self, name: str) -> bool:
        return self._declared.get(name) == {True}

    def __contains__(self, n: c_ast.Node) -> bool:
        match n:
            case c_ast.ID():
                found = self._name(n.name)
            case c_ast.StructRef():
                found = n.field in self
            case c_ast.ArrayRef() | c_ast.FuncCall():
                found = n.name in self
            case c_ast.Cast():
                found = self._type(n.to_type)
            case c_ast.Constant():
                found = n.type in ("float", "double")
            case c_ast.BinaryOp():
                found = n.op in ARITHMETIC and (n.left in self or n.right in self)
            case c_ast.UnaryOp():
                found = n.op != "!" and n.expr in self
            case c_ast.TernaryOp():
                found = n.iftrue in self
            case _:
                found = False
        return found


class _Instrument(c_generator.CGenerator):
    def __init__(self, catalogue: Catalogue, files: set[str], reals: _Reals) -> None:
        super().__init__()
        self._reals = reals
        self._catalogue, self._files = catalogue, files
        self._plain = c_generator.CGenerator()
        self._function = ""
        self._constant = 0  # above 0: only constant expressions may stand here
        self._namer = Namer()

    def _on(self, node: c_ast.Node, before: str, after: str) -> str:
        file, line = Path(node.coord.file).name, node.coord.line
        mutant = self._namer.mutant(file, line, self._function, _line(before), _line(after))
        return f"assb_on({self._catalogue.number(mutant)})"

    def _choose(self, node: c_ast.Node, changed: list[str], text: str) -> str:
        """`text` with every variant of `changed` beside it, where a mutant may stand."""
        if not self._function or self._constant:
            return text
        before = self._plain.visit(node)
        for after in changed:
            text = f"({self._on(node, before, after)} ? ({after}) : ({text}))"
        return text

    def visit_FuncDef(self, n: c_ast.FuncDef) -> str:
        if Path(n.coord.file).name not in self._files:
            return self._plain.visit(n)
        self._function = re.sub(r"^assb_est_f\d\d_", "", n.decl.name)
        head = self._plain.visit(n.decl)
        body = self.visit(n.body)
        self._function = ""
        return f"{head}\n{body}\n"

    def visit_Decl(self, n: c_ast.Decl, no_type: bool = False) -> str:
        if self._function and "static" in n.storage and "const" in n.quals and n.init is not None:
            n.storage = [word for word in n.storage if word != "static"]  # so that its numbers may depend on the mutant
        self._constant += "static" in n.storage
        text = super().visit_Decl(n, no_type)
        self._constant -= "static" in n.storage
        return text

    def _generate_type(self, n: c_ast.Node, *arguments, **named) -> str:
        self._constant += 1  # dimensions of arrays
        text = super()._generate_type(n, *arguments, **named)
        self._constant -= 1
        return text

    def visit_BinaryOp(self, n: c_ast.BinaryOp) -> str:
        if _is_constant(n):
            return self._choose(n, [f"({self._plain.visit(n)}) + 1"], self._plain.visit(n))
        plain = self._plain
        left, right = plain._parenthesize_unless_simple(n.left), plain._parenthesize_unless_simple(n.right)
        operators = COMPARISONS.get(n.op) or [other[n.op] for other in (ARITHMETIC, LOGICAL) if n.op in other]
        if len(operators) > 1 and (n.left in self._reals or n.right in self._reals):
            operators = operators[1:]
        text = super().visit_BinaryOp(n)
        return self._choose(n, [f"{left} {op} {right}" for op in operators], text)

    def visit_UnaryOp(self, n: c_ast.UnaryOp) -> str:
        if n.op == "sizeof" or _is_constant(n):
            return self._choose(n, [] if n.op == "sizeof" else [f"({self._plain.visit(n)}) + 1"], self._plain.visit(n))
        changed = [self._plain.visit(n.expr)] if n.op in ("-", "!") else []
        return self._choose(n, changed, super().visit_UnaryOp(n))

    def visit_Constant(self, n: c_ast.Constant) -> str:
        return self._choose(n, [_other_number(n)], n.value)

    def _negatable(self, condition: c_ast.Node) -> str:
        text = self.visit(condition)
        if isinstance(condition, c_ast.BinaryOp) and condition.op in DECIDES:
            return text
        return self._choose(condition, [f"!({self._plain.visit(condition)})"], text)

    def visit_TernaryOp(self, n: c_ast.TernaryOp) -> str:
        yes, no = (self._parenthesize_unless_simple(part) for part in (n.iftrue, n.iffalse))
        return f"({self._negatable(n.cond)}) ? ({yes}) : ({no})"

    def visit_If(self, n: c_ast.If) -> str:
        text = f"if ({self._negatable(n.cond)})\n{self._generate_stmt(n.iftrue, add_indent=True)}"
        return text + (f"else\n{self._generate_stmt(n.iffalse, add_indent=True)}" if n.iffalse else "")

    def visit_Assignment(self, n: c_ast.Assignment) -> str:
        text = super().visit_Assignment(n)
        if n.op not in COMPOUND:
            return text
        left, right = self._plain.visit(n.lvalue), self._plain.visit(n.rvalue)
        return self._choose(n, [f"{left} {COMPOUND[n.op]} {right}"], text)

    def visit_Return(self, n: c_ast.Return) -> str:
        if n.expr is None or isinstance(n.expr, c_ast.Constant):
            return super().visit_Return(n)
        value = n.expr
        told = isinstance(value, c_ast.ID) and value.name.startswith("ASSB_") and value.name != "ASSB_OK"  # that is 0
        changed = ["0"] if told else []
        return f"return {self._choose(value, changed, self.visit(value))};"

    def visit_FuncCall(self, n: c_ast.FuncCall) -> str:
        macro = isinstance(n.name, c_ast.ID) and n.name.name == "offsetof"
        return self._plain.visit(n) if macro else super().visit_FuncCall(n)

    def _generate_stmt(self, n: c_ast.Node, add_indent: bool = False) -> str:
        text = super()._generate_stmt(n, add_indent)
        stepping = isinstance(n, c_ast.UnaryOp) and n.op in ("p++", "p--", "++", "--")
        leaving = isinstance(n, c_ast.Return) and n.expr is None
        if not self._function or not (isinstance(n, DELETABLE) or stepping or leaving):
            return text
        return f"{{ if (!{self._on(n, self._plain.visit(n), '(deleted)')}) {{ {text} }} }}\n"


def _is_constant(n: c_ast.Node) -> bool:
    """Of figures and enumerators only, as what ASSB_UPPER(SOC, LEAK) comes to: one number, so one mutant."""
    if isinstance(n, c_ast.ID):
        return n.name.isupper()
    if isinstance(n, c_ast.Constant):
        return True
    if isinstance(n, c_ast.Cast):
        return _is_constant(n.expr)
    return isinstance(n, (c_ast.BinaryOp, c_ast.UnaryOp)) and all(_is_constant(part) for _, part in n.children())


def _line(text: str) -> str:
    """The same in both precisions."""
    return re.sub(r"\((double|float)\)", "(real)", re.sub(r"assb_est_f\d\d_", "", text))


def _other_number(n: c_ast.Constant) -> str:
    """A whole number becomes the next one, another a quarter more."""
    if "int" in n.type:
        return str(int(n.value.rstrip("uUlL"), 0) + 1)
    return repr(float(n.value.rstrip("fFlL")) * 1.25 or 1.0)


def preprocessed(source: Path, includes: list[Path], compiler: str = "cc") -> str:
    """The file as the compiler sees it, without its library and extensions."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in LIBRARY.items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        paths = [f"-I{path}" for path in (folder, *includes)]
        options = ["-E", "-nostdinc", "-std=c99", "-D__attribute__(x)=", *paths]
        done = subprocess.run([compiler, *options, str(source)], check=True, capture_output=True, text=True)
    return re.sub(r'^\s*#pragma.*$|_Pragma\s*\(\s*"[^"]*"\s*\)', "", done.stdout, flags=re.M)


def instrumented(source: Path, includes: list[Path], files: set[str], catalogue: Catalogue) -> str:
    """The C text of `source` with all mutants of the `files` that it is made of."""
    tree = c_parser.CParser().parse(preprocessed(source, includes), str(source))
    return CONTROL + _Instrument(catalogue, files, _Reals(tree)).visit(tree)
