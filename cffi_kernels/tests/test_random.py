"""Random numbers: the published generator, from seeds and streams that do not meet, with the moments they claim."""

import math

import pytest
from assb_kernels._kernels import ffi, lib

MASK = 2**64 - 1


def seeded(seed: int, stream: int = 0):
    generator = ffi.new("assb_random *")
    lib.assb_random_seed(generator, seed, stream)
    return generator


def turned_left(x: int, by: int) -> int:
    return (x << by | x >> (64 - by)) & MASK


def xoshiro256starstar(words: list[int]) -> int:
    """Blackman, Vigna 2021, the reference in plain integers."""
    result = turned_left(words[1] * 5 & MASK, 7) * 9 & MASK
    shifted = words[1] << 17 & MASK
    words[2] ^= words[0]
    words[3] ^= words[1]
    words[1] ^= words[2]
    words[0] ^= words[3]
    words[2] ^= shifted
    words[3] = turned_left(words[3], 45)
    return result


def test_uniform_is_the_published_generator():
    generator = seeded(7, 3)
    words = list(generator.word)
    for _ in range(1000):
        assert lib.assb_random_uniform(generator) == (xoshiro256starstar(words) >> 11) * 2.0**-53
    assert list(generator.word) == words


def test_first_value_of_the_reference_state():
    """xoshiro256** from the state 1, 2, 3, 4 gives 11520 first, then 0 (known from its test vectors)."""
    words = [1, 2, 3, 4]
    assert [xoshiro256starstar(words), xoshiro256starstar(words)] == [11520, 0]
    generator = ffi.new("assb_random *", {"word": [1, 2, 3, 4]})
    assert lib.assb_random_uniform(generator) == (11520 >> 11) * 2.0**-53


def test_seeds_and_streams_start_apart_and_the_same_one_again_alike():
    starts = {tuple(seeded(seed, stream).word) for seed in range(40) for stream in range(40)}
    assert len(starts) == 1600
    assert all(any(words) for words in starts)
    assert list(seeded(5, 6).word) == list(seeded(5, 6).word)


def test_streams_do_not_move_together():
    a, b, count = seeded(1, 0), seeded(1, 1), 20000
    mean = sum((lib.assb_random_uniform(a) - 0.5) * (lib.assb_random_uniform(b) - 0.5) for _ in range(count)) / count
    assert abs(mean) < 4 / 12 / math.sqrt(count)


def moments(draw, count: int = 40000) -> tuple[float, float, float]:
    generator = seeded(11)
    values = [draw(generator) for _ in range(count)]
    mean = sum(values) / count
    variance = sum((v - mean) ** 2 for v in values) / count
    return mean, variance, sum((v - mean) ** 3 for v in values) / count / variance**1.5


@pytest.mark.parametrize(
    ("draw", "mean", "variance", "skew"),
    [
        (lib.assb_random_uniform, 0.5, 1 / 12, 0.0),
        (lib.assb_random_normal, 0.0, 1.0, 0.0),
        (lib.assb_random_exponential, 1.0, 1.0, 2.0),
    ],
)
def test_moments(draw, mean, variance, skew):
    got = moments(draw)
    assert got[0] == pytest.approx(mean, abs=0.02)
    assert got[1] == pytest.approx(variance, rel=0.03)
    assert got[2] == pytest.approx(skew, abs=0.15)


def test_tails_of_the_normal_and_the_exponential():
    generator, count = seeded(13), 40000
    beyond = sum(abs(lib.assb_random_normal(generator)) > 2 for _ in range(count)) / count
    assert beyond == pytest.approx(0.0455, abs=0.004)
    late = sum(lib.assb_random_exponential(generator) > 3 for _ in range(count)) / count
    assert late == pytest.approx(math.exp(-3), abs=0.004)
