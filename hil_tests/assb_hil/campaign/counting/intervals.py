"""Counts and fractions with their 95 % intervals, and quantiles of times that were not all seen to the end."""

from collections.abc import Sequence
from math import ceil, exp, inf, lgamma, log, sqrt

TAIL = 0.025  # of probability beyond each end of an interval
NORMAL_QUANTILE = 1.959963984540054  # of the standard normal distribution at 1 - TAIL


def poisson_interval(count: int) -> tuple[float, float]:
    """Exact interval of the mean of a Poisson count (Garwood 1936, doi:10.1093/biomet/28.3-4.437)."""
    low = 0.0 if count == 0 else _mean_with_tail(count - 1, 1.0 - TAIL)
    return low, _mean_with_tail(count, TAIL)


def poisson_at_most(count: int, mean: float) -> float:
    """Probability of `count` or fewer where `mean` is expected."""
    if mean <= 0.0:
        return 1.0
    terms = [k * log(mean) - mean - lgamma(k + 1) for k in range(count + 1)]
    largest = max(terms)
    return min(exp(largest) * sum(exp(term - largest) for term in terms), 1.0)


def _mean_with_tail(count: int, probability: float) -> float:
    """The mean at which `count` or fewer have this probability: it falls with the mean, so it is halved in."""
    low, high = 0.0, count + 10.0 * sqrt(count + 1.0) + 10.0
    while high - low > 1e-12 * high:
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        if poisson_at_most(count, middle) > probability:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Score interval of a fraction (Wilson 1927, doi:10.1080/01621459.1927.10502953); without trials all of 0..1."""
    if trials == 0:
        return 0.0, 1.0
    z2 = NORMAL_QUANTILE**2
    middle = (successes + 0.5 * z2) / (trials + z2)
    half = NORMAL_QUANTILE / (trials + z2) * sqrt(successes * (trials - successes) / trials + 0.25 * z2)
    return max(0.0, middle - half), min(1.0, middle + half)


def quantile_s(times_s: Sequence[float], share: float) -> float:
    """The smallest time within which at least `share` of all ended; inf: it lies among those that did not end."""
    if not times_s:
        return inf
    rank = ceil(share * len(times_s) - 1e-9)
    return sorted(times_s)[max(rank, 1) - 1]
