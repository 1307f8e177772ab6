"""The parameters in force: the config image's values, some of which may be set while running."""

from array import array

from .protocol import tables
from .protocol.config import ZEROS


class Settings:
    """`settings(name)` is the integer in force."""

    def __init__(self, config):
        """`config.parameter(name)` gives the image's value; None stands for a board without a valid image: defaults."""
        self._value = array("i", bytes(4 * tables.count(tables.PARAMETERS)))
        for at, row in enumerate(tables.rows(tables.PARAMETERS)):
            self._value[at] = config.parameter(row[1]) if config else row[5]
        self._image = array("i", self._value)
        self._zeros_most = {name: config.zero_most(name) for name in ZEROS} if config else {}

    def __call__(self, name):
        """Searches the table: modules look a parameter up once and keep it. Raises KeyError."""
        return self._value[tables.position(tables.PARAMETERS, name)]

    def image(self, name):
        """The config image's value. Raises KeyError."""
        return self._image[tables.position(tables.PARAMETERS, name)]

    def refusal(self, name, value):
        """Why this value may not be set now, as one word for the reply; empty when it may."""
        try:
            _, _, settable, lowest, highest, _ = tables.row(tables.PARAMETERS, name)
        except KeyError:
            return "unknown_parameter"
        if not settable:
            return "config_image_only"
        if not lowest <= value <= highest:
            return "out_of_range_%d_to_%d" % (lowest, highest)
        most = self._zeros_most.get(name)
        if most is not None and not -most <= value <= most:
            return "out_of_range_%d_to_%d" % (-most, most)
        if name == "pressure_target_kpa" and not self("pressure_min_kpa") <= value <= self("pressure_max_kpa"):
            return "outside_window_%d_to_%d" % (self("pressure_min_kpa"), self("pressure_max_kpa"))
        return ""

    def needs_open(self, name):
        """Whether it may be set with nothing connected alone: it changes what the sensors say."""
        return tables.row(tables.PARAMETERS, name)[2] == 2

    def set(self, name, value):
        """Take a value that `refusal` let pass; returns the parameter's id."""
        self._value[tables.position(tables.PARAMETERS, name)] = value
        return tables.row(tables.PARAMETERS, name)[0]
