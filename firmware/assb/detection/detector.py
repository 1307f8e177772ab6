"""The evidences of one cell and their fusion: some look at every sample, the others at seconds."""

from assb.const import const

from .cv_tail import CvTail
from .deficit import flowing_a
from .dips import Dips
from .efficiency import Efficiency
from .fusion import Fusion
from .heat import Heat
from .missing_charge import MissingCharge, at_end
from .noise import Noise
from .observed import Observed, later, lower_median, median
from .pressure_fall import see_pressure_fall
from .resistance import Resistance
from .rest_decay import RestDecay
from .stall import Stall
from .swelling import Swelling

SECOND_S = 0.95
MOVE_FRAC = 0.01  # a change of the press' aim by more is a move

# Place in the flat layout (a test compares)
_COULOMBIC_EFFICIENCY_FRAC = const(1)
_NOTHING = (0.0, 0.0)


class Detector:
    """Put the sample into `cell`, then `see_sample`; when that says that a second is complete, `see_second`."""

    def __init__(self, flat, ekf, real="f"):
        """See Observed."""
        self.cell = Observed(flat, ekf, real)
        self.dips = Dips(real)
        self.noise = Noise()
        self.charge = MissingCharge(real)
        self.rest = RestDecay()
        self.tail = CvTail()
        self.efficiency = Efficiency(real)
        self.resistance = Resistance()
        self.stall = Stall()
        self.swelling = Swelling(real)
        self.heat = Heat()
        self.fusion = Fusion()
        self.current_a = self.aim_mpa = self.soc_before = 0.0
        self.has_soc = False
        self._begin_second()

    def _begin_second(self):
        self.span_s = self.sum_v = self.sum_a = 0.0
        self.counted = self.rose = 0.0  # SOC: what the current brought, what the filter made of it

    def blind(self):
        """A sample without a voltage: its charge was counted, nothing is to be seen in it."""
        self.has_soc = False
        self.charge.blind()
        self.dips.lose()
        self.noise.has_before = self.resistance.seen = 0

    def lose(self):
        """Charge flowed that nobody saw, or the estimator began anew: what is under way is given up."""
        self.blind()
        self._begin_second()
        for evidence in (self.charge, self.rest, self.tail, self.efficiency, self.stall, self.swelling, self.heat):
            evidence.lose()

    def see_sample(self):
        """A sample that the estimator has just taken. True when a second is complete."""
        cell = self.cell
        self._see_changes()
        self._count_charge()
        self.dips.see(cell)
        self.noise.see(cell)
        self.resistance.see(cell)
        self.span_s += cell.dt_s
        self.sum_v += cell.voltage_v * cell.dt_s
        self.sum_a += cell.current_a * cell.dt_s
        return self.span_s >= SECOND_S

    def _see_changes(self):
        cell = self.cell
        stepped = abs(cell.current_a - self.current_a) > cell.step_a()
        cell.since_step_s = 0.0 if stepped else later(cell.since_step_s, cell.dt_s)
        self.current_a = cell.current_a
        if abs(cell.aim_mpa - self.aim_mpa) > MOVE_FRAC * abs(self.aim_mpa):
            self.aim_mpa = cell.aim_mpa
            cell.since_move_s = 0.0
        else:
            cell.since_move_s = later(cell.since_move_s, cell.dt_s)

    def _count_charge(self):
        cell = self.cell
        soc = cell.ekf.soc + cell.ekf.soc_residual
        counted = cell.dt_s / (3600 * cell.capacity_ah()) * cell.current_a
        self.charge.deficit.turn(cell, flowing_a(cell))
        if cell.current_a > 0:
            counted *= cell.flat[_COULOMBIC_EFFICIENCY_FRAC]
        if self.has_soc:
            self.counted += counted
            self.rose += soc - self.soc_before
        self.soc_before = soc
        self.has_soc = True

    def see_second(self, pack):
        """The rest of the evidences, and the stage; `pack`: what its cells show. True when the stage changed."""
        cell = self.cell
        cell.dt_s = self.span_s
        cell.voltage_v = self.sum_v / self.span_s
        cell.current_a = self.sum_a / self.span_s
        self.charge.see(cell, self.counted, self.rose, pack)
        self.rest.see(cell, pack)
        self.tail.see(cell)
        self.efficiency.see(cell)
        self.stall.see(cell)
        see_pressure_fall(cell, self.rest)
        self.swelling.see(cell)
        self.heat.see(cell)
        self.noise.judge(cell, pack.noise_ratio)
        self._begin_second()
        return self.fusion.update(cell, self.charge, self.dips)


class Pack:
    """What the cells of a pack show together."""

    def __init__(self, cells=0):
        """`cells`: how many there will be, which only the native kernel has to know."""
        self.detectors = []
        self.cells = 1  # that can be compared
        self.ends = False  # another one is at an end of SOC
        self.deficit_v = self.slope_v_per_s = 0.0
        self.noise_ratio = 1.0
        self.passed = 0  # a tenth of SOC that two others have passed as well, 0: none
        self.took_c = _NOTHING  # by their cycles, the most: of the capacity in an hour, on charge and on discharge

    def add(self, flat, ekf):
        """The next cell's detector."""
        self.detectors.append(Detector(flat, ekf))
        return self.detectors[-1]

    def compare(self, own):
        """For one of its detectors. A cell that is suspected is nothing to compare with."""
        detectors = self.detectors
        alive = [d for d in detectors if d is not own and d.charge.known and not d.fusion.stage]
        self.ends = any([d.has_soc and at_end(d.soc_before) for d in alive])
        others = [d.charge for d in alive]
        passed = own.charge.returns.passed
        alike = [charge.returns for charge in others if charge.returns.may_compare(passed)]
        falls = [-d.rest.slope_v_per_s for d in detectors if d.rest.windows > 0]
        ratios = [d.noise.ratio for d in detectors if d.noise.ratio > 0]
        self.cells = len(others) + 1
        if self.cells > 2:  # of one other cell alone nobody knows whose fault a difference is
            others.append(own.charge)
            self.deficit_v = median([charge.deficit.deficit_v - charge.offset_v for charge in others])
        else:
            self.deficit_v = others[0].deficit.deficit_v if others else 0.0
        self.passed = passed if len(alike) > 1 else 0
        self.took_c = (max([r.took_c(0) for r in alike]), max([r.took_c(1) for r in alike])) if alike else _NOTHING
        self.slope_v_per_s = -lower_median(falls) if len(falls) > 1 else 0.0
        self.noise_ratio = lower_median(ratios) if len(ratios) > 1 else 1.0
