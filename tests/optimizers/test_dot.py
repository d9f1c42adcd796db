import keras
import numpy as np
import pytest

from kd_keras.optimizers.dot import DOT


def golden(case, config):
    """Five steps on `num_params` variables against the authors' parameters and momenta."""
    optimizer = DOT(
        momentum=config["base_momentum"],
        delta=config["delta"],
        dampening=config["dampening"],
        weight_decay=config["weight_decay"],
    )
    numbers = range(config["num_params"])
    variables = [keras.Variable(case[f"param_init_{j}"]) for j in numbers]
    histories = [[] for _ in numbers]
    for step in range(config["steps"]):
        optimizer.learning_rate = case["learning_rates"][step]
        task, kd = (
            [tensor(case[f"{kind}_{j}"][step]) if f"{kind}_{j}" in case else None for j in numbers]
            for kind in ("task_grad", "kd_grad")
        )
        optimizer.apply_parts({"task": task, "distillation": kd}, variables)
        for values, variable in zip(histories, variables, strict=True):
            values.append(variable.numpy())
    for j in numbers:
        close(np.stack(histories[j]), case[f"out_param_{j}"], config)
        for part, golden_part in {"task": "task", "distillation": "kd"}.items():
            name = f"out_{golden_part}_momentum_{j}"
            if name in case:
                close(optimizer.momenta[part][j].numpy(), case[name], config)


def tensor(value):
    return keras.ops.convert_to_tensor(np.asarray(value, "float32"))


def close(actual, expected, config):
    assert actual.shape == expected.shape
    off = np.linalg.norm(actual.astype("float64") - expected)
    assert off <= config["tol"]["param_rtol"] * np.linalg.norm(expected)


golden.checks_itself = True
GOLDENS = {"dot": golden}


def run(optimizer, pairs):
    """A number's values, from 1 on, after each pair of (task, kd) gradients."""
    variable = keras.Variable(np.ones(1, "float32"))
    values = []
    for task, kd in pairs:
        task, kd = ([None if g is None else tensor([g])] for g in (task, kd))
        optimizer.apply_parts({"task": task, "distillation": kd}, [variable])
        values.append(float(variable.numpy()[0]))
    return values


def test_equals_two_steps_by_hand():
    # Momenta 1/4 and 3/4. Step 1: 1 - 0.1 * 1 - 0.1 * 2 = 0.7; step 2 adds 1/4 * 1 + 1 = 1.25 and
    # 3/4 * 2 + 2 = 3.5: 0.7 - 0.475 = 0.225.
    optimizer = DOT(0.1, momentum=0.5, delta=0.25)
    np.testing.assert_allclose(run(optimizer, [(1, 2)] * 2), [0.7, 0.225], rtol=1e-6)


def test_decay_and_dampening_by_hand():
    # Task alone, momentum 1/2, decay 1/2, dampening 1/4. Step 1: g = 2 + 1/2: 1 - 0.25 = 0.75.
    # Step 2: g = 2 + 0.375, momentum 1.25 + 0.75 * 2.375 = 3.03125: 0.75 - 0.303125.
    settings = {"momentum": 0.5, "delta": 0.0, "weight_decay": 0.5, "dampening": 0.25}
    np.testing.assert_allclose(run(DOT(0.1, **settings), [(2, None)] * 2), [0.75, 0.446875])
    # The distillation alone decays from the second step on: 0.8, then 1 + 0.75 * 2.4 = 2.8.
    np.testing.assert_allclose(run(DOT(0.1, **settings), [(None, 2)] * 2), [0.8, 0.52], rtol=1e-6)


def test_one_gradient_alone_is_sgd_with_momentum():
    by_keras, variable = keras.optimizers.SGD(0.1, momentum=0.9), keras.Variable(np.ones(1))
    for _ in range(3):
        by_keras.apply([tensor([2])], [variable])
    expected = float(variable.numpy()[0])
    assert run(DOT(0.1), [(2, None)] * 3)[-1] == pytest.approx(expected, rel=1e-6)
    assert run(DOT(0.1), [(None, 2)] * 3)[-1] == pytest.approx(expected, rel=1e-6)
    optimizer, variable = DOT(0.1), keras.Variable(np.ones(1))
    for _ in range(3):
        optimizer.apply_gradients([(tensor([2]), variable)])
    assert float(variable.numpy()[0]) == pytest.approx(expected, rel=1e-6)
    assert int(optimizer.iterations) == 3


def test_excluded_variables_do_not_decay():
    optimizer = DOT(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["variable"])
    np.testing.assert_allclose(run(optimizer, [(1, 0)]), [0.9], rtol=1e-6)


def test_comes_back_from_its_config():
    rate = keras.optimizers.schedules.CosineDecay(0.1, 10)
    optimizer = DOT(rate, momentum=0.8, delta=0.1, dampening=0.2, weight_decay=0.01, use_ema=True)
    back = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(back, DOT)
    assert back.get_config() == optimizer.get_config()
    assert run(back, [(1, 2), (0, 1)]) == run(optimizer, [(1, 2), (0, 1)])


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"momentum": -0.1}, "momentum is -0.1; expected a finite number >= 0"),
        ({"delta": 0.95}, "delta is 0.95; expected a finite number >= 0 and <= 0.9"),
        ({"delta": 0.2}, "momentum is 0.9 and delta 0.2; expected a sum below 1"),
        ({"weight_decay": -1}, "weight_decay is -1; expected a finite number >= 0"),
        ({"dampening": 2}, "dampening is 2; expected a finite number >= 0 and <= 1"),
        ({"clipnorm": 1.0}, "clipnorm=1.0 is given; expected no .*use global_clipnorm"),
        ({"clipvalue": 0.5}, "clipvalue=0.5 is given; expected no arguments but"),
        ({"gradient_accumulation_steps": 2}, "gradient_accumulation_steps=2 is given"),
        ({"loss_scale_factor": 8.0}, "loss_scale_factor=8.0 is given"),
    ],
)
def test_refuses_bad_knobs(knobs, message):
    with pytest.raises(ValueError, match=f"^dot: {message}"):
        DOT(**knobs)


def test_clipping_scales_both_gradients_by_the_norm_of_their_sum():
    # Sums 3 and 4 have norm 5: with a limit of 1 everything is divided by 5.
    optimizer = DOT(1.0, momentum=0.0, delta=0.0, global_clipnorm=1.0)
    variables = [keras.Variable(np.zeros(1, "float32")) for _ in range(2)]
    gradients = {"task": [tensor([5]), tensor([4])], "distillation": [tensor([-2]), None]}
    optimizer.apply_parts(gradients, variables)
    np.testing.assert_allclose([float(v.numpy()[0]) for v in variables], [-0.6, -0.8], rtol=1e-6)
    parts = [float(m[0].numpy()[0]) for m in optimizer.momenta.values()]
    np.testing.assert_allclose(parts, [1.0, -0.4], rtol=1e-6)
    assert DOT.from_config(optimizer.get_config()).global_clipnorm == 1.0
