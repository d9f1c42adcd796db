"""Stateless randomness: 64 random bits for each value, computed from the numbers of a key.

One integer hash over a whole array is much faster than a seeded random operation for each value,
and gives the same bits on every machine and with every version of NumPy.
"""

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_WORD = (1 << 64) - 1


def random_bits(values: np.ndarray, *key: int) -> np.ndarray:
    """64 random bits for each value, a pure function of (key, value).

    Args:
        values: (N,) int, at least 0.
        key: ints; a change of any of them gives unrelated bits.

    Returns:
        (N,) uint64, uniform.

    Source: the output function of SplitMix64 (Steele, Lea, Flood 2014,
    doi:10.1145/2660193.2660195), applied once for each number of the key and once for the value.
    """
    state = np.zeros(1, np.uint64)
    for number in key:
        state = _mix(state + _GOLDEN + np.array([number & _WORD], np.uint64))
    return _mix(state + _GOLDEN * (values.astype(np.uint64) + np.uint64(1)))


def _mix(x: np.ndarray) -> np.ndarray:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)))
