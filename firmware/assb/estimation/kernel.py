"""Which estimator runs: the native module where there is one and its golden vector is right, else the twin.

Only the chosen one stays loaded, if the caller lets go of what `leftovers` names: the golden vector is needed once.
"""

TWIN = 0
NATIVE = 1
# Codes of the event self_test_failed; 1 and 2 are the configuration's
NATIVE_WRONG = 3  # a native module is there, but does not load or fails its golden vector: the twin runs
ALL_WRONG = 4  # the twin fails its golden vector as well: the self-test fails


class Kernel:
    """`make(params)` gives one cell's estimator; `fault` is 0 or one of the codes above, and `why` says it in words."""

    def __init__(self, make, kind, fault, why):
        self.make = make
        self.kind = kind
        self.fault = fault
        self.why = why


def choose():
    """A Kernel: the first of native module and twin that makes of the golden vector what it must."""
    from assb.estimation import golden

    why = native_fault(golden)
    if why == "":
        from assb.estimation.native_ekf import Ekf

        return Kernel(Ekf, NATIVE, 0, "")
    from assb.estimation.ekf import Ekf

    if golden.right(Ekf(golden.cell())):
        return Kernel(Ekf, TWIN, NATIVE_WRONG if why else 0, why)
    return Kernel(Ekf, TWIN, ALL_WRONG, "the estimator's golden vector is wrong")


def native_fault(golden):
    """Why the native module can't be used; "" when it can, None when there is none."""
    try:
        import assb.estimation.assb_kernel  # alone first: its absence is no fault
    except ImportError:
        return None
    except Exception as error:  # built for another processor or MicroPython, or not whole: the twin does its work
        return "the native module does not load: %r" % error
    try:
        from assb.estimation.native_ekf import Ekf

        return "" if golden.right(Ekf(golden.cell())) else "the native module's golden vector is wrong"
    except Exception as error:
        return "the native module does not work: %r" % error


def leftovers(kind):
    """Modules that a board need not keep once an estimator of this kind was chosen."""
    if kind == NATIVE:
        return ("assb.estimation.golden",)
    return ("assb.estimation.golden", "assb.estimation.native_ekf", "assb.estimation.assb_kernel")
