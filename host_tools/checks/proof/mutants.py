"""What a mutant is, and how it is told."""

from dataclasses import dataclass

LONGEST = 50  # characters that are told of what stands before a change


@dataclass(frozen=True)
class Mutant:
    """One change. `place` is its name in lists: it stays the same when lines move."""

    file: str
    line: int
    function: str
    before: str
    after: str
    nth: int  # of equal changes in one function

    @property
    def place(self) -> str:
        again = f" #{self.nth + 1}" if self.nth else ""
        return f"{self.file} {self.function}: {self.before} -> {self.after}{again}"


class Namer:
    """Names for the changes of one function after the other."""

    def __init__(self) -> None:
        self._seen: dict[tuple, int] = {}

    def mutant(self, file: str, line: int, function: str, before: str, after: str) -> Mutant:
        key = (file, function, *_difference(" ".join(before.split()), " ".join(after.split())))
        nth = self._seen[key] = self._seen.get(key, -1) + 1
        return Mutant(file, line, *key[1:], nth)


def _difference(before: str, after: str) -> tuple[str, str]:
    """Both without most of a long beginning that they share."""
    same = next((k for k, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), 0)
    cut = max(0, same - LONGEST)
    return ("..." + before[cut:], "..." + after[cut:]) if cut else (before, after)
