"""Types of single values in the files: their ranges, and their meaning for docs/config.md."""

from typing import Annotated

from msgspec import Meta

SOURCE_PATTERN = r"^[RVCKDMSA](, [RVCKDMSA])*: .+"
# Of a single simulated figure: nothing simulated was measured, and an assumption may have nothing to add
FIGURE_SOURCE_PATTERN = r"^[RVCKA](, [RVCKA])*(: .+)?$"
NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,14}$"
# A pattern as people read it
PATTERN_WORDS = {
    SOURCE_PATTERN: "text in quotes that starts with a mark and a colon, as in 'A: estimated'",
    FIGURE_SOURCE_PATTERN: "text in quotes that starts with marks R, V, C, K or A, as in 'A' or 'K, A: estimated'",
    NAME_PATTERN: "text in quotes of 1 to 15 small letters, digits, - and _, a letter or digit first",
}

# Where a figure comes from, after a mark: R review, V confirmed in another text, C calculated from molar volumes or
# geometry, K from memory of a paper, D datasheet, M measured or fitted, S standard or law, A our assumption. A number
# without a source is not accepted.
Source = Annotated[
    str,
    Meta(pattern=SOURCE_PATTERN, description="Where the figures come from, after a mark R V C K D M S A"),
]
FigureSource = Annotated[
    str,
    Meta(
        pattern=FIGURE_SOURCE_PATTERN,
        description="Where the figure comes from: marks R V C K A, and more after a colon",
    ),
]
Name = Annotated[str, Meta(pattern=NAME_PATTERN, description="The file's own name, at most 15 characters")]
Reference = Annotated[str, Meta(min_length=1)]
Description = Annotated[str, Meta(min_length=1, description="One line for people")]

Pin = Annotated[int, Meta(ge=0, le=127)]
I2cAddress = Annotated[int, Meta(ge=0x08, le=0x77, description="7-bit address")]
I2cBusNumber = Annotated[int, Meta(ge=0, le=1, description="I2C bus of the board")]
Count = Annotated[int, Meta(ge=1, le=1000)]
PositiveFloat = Annotated[float, Meta(gt=0)]
NonNegative = Annotated[float, Meta(ge=0)]
Microseconds = Annotated[int, Meta(ge=0, le=10_000_000)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
DegC = Annotated[float, Meta(ge=-60, le=200)]
Volt = Annotated[float, Meta(ge=0, le=85)]
Megapascal = Annotated[float, Meta(ge=0, le=400)]
