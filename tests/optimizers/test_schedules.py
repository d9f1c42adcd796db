import numpy as np
import pytest

from kd_keras.optimizers import schedules


def rates(name, steps=80):
    schedule = schedules.get(name, 0.4, steps)
    return [float(schedule(step)) for step in range(steps + 1)]


def test_constant_is_the_rate_itself():
    assert schedules.get("constant", 0.4, 80) == 0.4


def test_cosine_falls_from_the_rate_to_zero():
    got = rates("cosine")
    np.testing.assert_allclose([got[0], got[40], got[80]], [0.4, 0.2, 0.0], atol=1e-7)


def test_one_cycle_rises_for_three_tenths_of_the_run_from_a_25th():
    got = rates("one-cycle")
    assert np.argmax(got) == 24
    np.testing.assert_allclose([got[0], got[24], got[80]], [0.016, 0.4, 0.0], atol=1e-7)


def test_steps_fall_tenfold_at_five_six_and_seven_eighths():
    got = rates("steps")
    np.testing.assert_allclose(
        [got[50], got[51], got[61], got[71]], [0.4, 0.04, 0.004, 0.0004], rtol=1e-6
    )


def test_an_unknown_schedule_is_named_with_the_nearest():
    with pytest.raises(ValueError, match=r"schedule is 'cosin'.*Did you mean 'cosine'"):
        schedules.get("cosin", 0.1, 10)
