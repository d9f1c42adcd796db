import keras
import numpy as np
import pytest

from kd_keras.optimizers import schedules


def rates(name, steps=80):
    schedule = schedules.get(name, 0.4, steps)
    return [float(schedule(step)) for step in range(steps + 1)]


def test_constant_is_the_rate_itself():
    assert schedules.get("constant", 0.4, 80) == 0.4


def test_cosine_falls_from_the_rate_to_zero():
    result = rates("cosine")
    np.testing.assert_allclose([result[0], result[40], result[80]], [0.4, 0.2, 0.0], atol=1e-7)


def test_one_cycle_rises_for_three_tenths_of_the_run_from_a_25th():
    result = rates("one-cycle")
    assert np.argmax(result) == 24
    np.testing.assert_allclose([result[0], result[24], result[80]], [0.016, 0.4, 0.0], atol=1e-7)


def test_steps_fall_tenfold_at_five_six_and_seven_eighths():
    result = rates("steps")
    np.testing.assert_allclose(
        [result[50], result[51], result[61], result[71]], [0.4, 0.04, 0.004, 0.0004], rtol=1e-6
    )


def test_an_unknown_schedule_is_named_with_the_nearest():
    with pytest.raises(ValueError, match=r"schedule is 'cosin'.*Did you mean 'cosine'"):
        schedules.get("cosin", 0.1, 10)


def test_a_warm_up_rises_linearly_to_the_rate():
    schedule = schedules.get("constant", 0.4, 80, warmup_steps=4)
    result = [float(schedule(step)) for step in range(6)]
    np.testing.assert_allclose(result, [0.1, 0.2, 0.3, 0.4, 0.4, 0.4], rtol=1e-6)


def test_cosine_falls_to_the_final_rate_over_the_steps_after_the_warm_up():
    schedule = schedules.get("cosine", 0.4, 84, warmup_steps=4, final=0.1)
    result = [float(schedule(step)) for step in (3, 4, 44, 84)]
    np.testing.assert_allclose(result, [0.4, 0.4, 0.25, 0.1], rtol=1e-6)
    one_cycle = schedules.get("one-cycle", 0.4, 80, final=0.1)
    assert float(one_cycle(80)) == pytest.approx(0.1)


def test_steps_fall_where_they_do_without_a_warm_up():
    schedule = schedules.get("steps", 0.4, 80, warmup_steps=8)
    result = [float(schedule(step)) for step in (3, 50, 51)]
    np.testing.assert_allclose(result, [0.2, 0.4, 0.04], rtol=1e-6)


def test_a_schedule_of_updates_is_saved_with_its_warm_up():
    schedule = schedules.get("cosine", 0.4, 20, warmup_steps=2, accumulate=3)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(schedule))
    assert [float(again(s)) for s in range(60)] == [float(schedule(s)) for s in range(60)]
    assert len({float(schedule(step)) for step in (30, 31, 32)}) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("constant", 0.1, 10, {"warmup_steps": 10}), "the warm-up has 10 steps and the training"),
        (("one-cycle", 0.1, 10, {"warmup_steps": 1}), "one-cycle, which has a warm-up of its own"),
        (("steps", 0.1, 10, {"final": 0.01}), "expected cosine or one-cycle"),
        (("cosine", 0.1, 10, {"final": 0.2}), "final learning rate is 0.2 and the highest 0.1"),
    ],
)
def test_what_no_schedule_can_do_is_refused(settings, message):
    *arguments, options = settings
    with pytest.raises(ValueError, match=message):
        schedules.get(*arguments, **options)
