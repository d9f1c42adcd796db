import keras
import numpy as np
import pytest

from kd_keras.optimizers.deepkd import DeepKD

PARTS = {"task": "task", "target": "tckd", "nontarget": "nckd"}


def golden(case, config):
    """Five steps against the authors' parameters and momenta, as coded and as in the paper."""
    for as_coded, end in ((True, ""), (False, "__as_paper")):
        check_case(case, config, as_coded, end)


def check_case(case, config, as_coded, end):
    base = config["base_momentum"]
    optimizer = DeepKD(
        momentum=base,
        **{f"{part}_delta": config[f"delta_{golden_part}"] for part, golden_part in PARTS.items()},
        dampening=config["dampening"],
        weight_decay=config["weight_decay"],
        as_coded=as_coded,
    )
    numbers = range(config["num_params"])
    variables = [keras.Variable(case[f"param_init_{j}"]) for j in numbers]
    values = [[] for _ in numbers]
    for step in range(config["steps"]):
        optimizer.learning_rate = case["learning_rates"][step]
        gradients = [
            [
                tensor(case[f"{kind}_grad_{j}"][step]) if f"{kind}_grad_{j}" in case else None
                for j in numbers
            ]
            for kind in PARTS.values()
        ]
        optimizer.apply_parts(dict(zip(PARTS, gradients, strict=True)), variables)
        for history, variable in zip(values, variables, strict=True):
            history.append(variable.numpy())
    for j in numbers:
        close(np.stack(values[j]), case[f"out_param_{j}{end}"], config)
        for part, golden_part in PARTS.items():
            name = f"out_{golden_part}_momentum_{j}{end}"
            if name in case:
                close(optimizer.momenta[part][j].numpy(), case[name], config)


def tensor(value):
    return keras.ops.convert_to_tensor(np.asarray(value, "float32"))


def close(actual, expected, config):
    assert actual.shape == expected.shape
    off = np.linalg.norm(actual.astype("float64") - expected)
    assert off <= config["tol"]["param_rtol"] * np.linalg.norm(expected)


golden.checks_itself = True
GOLDENS = {"deepkd": golden}
DELTAS = {"task_delta": 0.25, "target_delta": -0.25, "nontarget_delta": 0.0}


def run(optimizer, triples):
    """A number's values, from 1 on, after each triple of (task, target, nontarget) gradients."""
    variable = keras.Variable(np.ones(1, "float32"))
    values = []
    for triple in triples:
        gradients = ([None if g is None else tensor([g])] for g in triple)
        optimizer.apply_parts(dict(zip(PARTS, gradients, strict=True)), [variable])
        values.append(float(variable.numpy()[0]))
    return values


def test_equals_two_steps_by_hand():
    # Momenta 3/4, 1/4 and 1/2. Step 1: 1 - 0.1 * (1 + 2 + 3) = 0.4; step 2 adds 1.75, 2.5, 4.5.
    optimizer = DeepKD(0.1, momentum=0.5, **DELTAS)
    np.testing.assert_allclose(run(optimizer, [(1, 2, 3)] * 2), [0.4, 0.4 - 0.875], rtol=1e-6)
    # As coded, the task's momentum is 1/4: 1.25.
    optimizer = DeepKD(0.1, momentum=0.5, **DELTAS, as_coded=True)
    np.testing.assert_allclose(run(optimizer, [(1, 2, 3)] * 2), [0.4, 0.4 - 0.825], rtol=1e-6)


def test_the_task_alone_is_sgd_without_decay():
    by_keras, variable = keras.optimizers.SGD(0.1, momentum=0.5), keras.Variable(np.ones(1))
    optimizer, other = DeepKD(0.1, momentum=0.5, **DELTAS, weight_decay=0.1), keras.Variable([1.0])
    for _ in range(3):
        by_keras.apply([tensor([2])], [variable])
        optimizer.apply_gradients([(tensor([2]), other)])
    assert float(other.numpy()[0]) == pytest.approx(float(variable.numpy()[0]), rel=1e-6)
    assert int(optimizer.iterations) == 3


def test_decay_and_dampening_by_hand():
    # Target alone, momentum 1/2, decay 1/2, dampening 1/4. Step 1: g = 2 + 1/2: 1 - 0.25 = 0.75.
    # Step 2: g = 2 + 2 * 0.375 = 2.75, momentum 1.25 + 0.75 * 2.75 = 3.3125: 0.75 - 0.33125.
    knobs = {"momentum": 0.5, **DELTAS, "weight_decay": 0.5, "dampening": 0.25}
    values = run(DeepKD(0.1, **knobs), [(None, 2, None)] * 2)
    np.testing.assert_allclose(values, [0.75, 0.41875], rtol=1e-6)


def test_comes_back_from_its_config():
    optimizer = DeepKD(
        0.1, momentum=0.8, **DELTAS | {"task_delta": 0.1}, weight_decay=0.01, as_coded=True
    )
    back = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert isinstance(back, DeepKD)
    assert back.get_config() == optimizer.get_config()
    assert run(back, [(1, 2, 3), (0, 1, None)]) == run(optimizer, [(1, 2, 3), (0, 1, None)])


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"momentum": -0.1}, "momentum is -0.1; expected a finite number >= 0"),
        (
            {"momentum": 1.0, "task_delta": -0.1, "nontarget_delta": -0.1},
            "momentum is 1.0; expected a finite number >= 0 and < 1",
        ),
        ({"task_delta": 0.1}, "momentum is 0.9 and task_delta 0.1; expected a sum >= 0 and < 1"),
        ({"target_delta": -0.95}, "momentum is 0.9 and target_delta -0.95; expected a sum >= 0"),
        ({"weight_decay": -1}, "weight_decay is -1; expected a finite number >= 0"),
        ({"as_coded": "no"}, "as_coded is 'no'; expected one of"),
    ],
)
def test_refuses_bad_knobs(knobs, message):
    with pytest.raises(ValueError, match=f"^deepkd: {message}"):
        DeepKD(**knobs)
