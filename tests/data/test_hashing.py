import numpy as np

from kd_keras.data import hashing


def test_without_a_key_it_is_splitmix64_from_0():
    # The published generator's first three outputs from the state 0.
    expected = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert hashing.random_bits(np.arange(3)).tolist() == expected


def test_a_value_s_bits_depend_on_the_key_and_on_nothing_else():
    values = np.arange(1000)
    bits = hashing.random_bits(values, 7, 3)
    np.testing.assert_array_equal(bits[[5, 900]], hashing.random_bits(np.array([5, 900]), 7, 3))
    for key in [(7, 4), (8, 3), (3, 7), (7,), (7, 3, 0)]:
        assert np.intersect1d(bits, hashing.random_bits(values, *key)).size == 0


def test_every_bit_is_set_half_of_the_time():
    bits = hashing.random_bits(np.arange(20_000), 1, 2)
    shares = [(bits >> np.uint64(n) & np.uint64(1)).mean() for n in range(64)]
    np.testing.assert_allclose(shares, 0.5, atol=0.02)  # five standard deviations
