import pytest

from kd_keras.methods.parts import decay


@pytest.mark.parametrize(
    ("progress", "start", "factor"),
    [(0.4, 0.5, 1), (0.5, 0.5, 1), (0.75, 0.5, 0.5), (1.0, 0.5, 0), (0.0, 0.0, 1), (1.0, 1, 1)],
)
def test_falls_like_a_cosine_from_its_start(progress, start, factor):
    assert float(decay.cosine(progress, start)) == pytest.approx(factor, abs=1e-6)
