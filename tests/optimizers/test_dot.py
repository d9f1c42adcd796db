import subprocess
import sys

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
    seen = [[] for _ in numbers]
    for step in range(config["steps"]):
        optimizer.learning_rate = case["learning_rates"][step]
        task, kd = (
            [tensor(case[f"{kind}_{j}"][step]) if f"{kind}_{j}" in case else None for j in numbers]
            for kind in ("task_grad", "kd_grad")
        )
        optimizer.apply_two(task, kd, variables)
        for values, variable in zip(seen, variables, strict=True):
            values.append(variable.numpy())
    for j in numbers:
        close(np.stack(seen[j]), case[f"out_param_{j}"], config)
        for kind, momenta in optimizer.momenta.items():
            if f"out_{kind}_momentum_{j}" in case:
                close(momenta[j].numpy(), case[f"out_{kind}_momentum_{j}"], config)


def tensor(value):
    return keras.ops.convert_to_tensor(np.asarray(value, "float32"))


def close(got, expected, config):
    assert got.shape == expected.shape
    off = np.linalg.norm(got.astype("float64") - expected)
    assert off <= config["tol"]["param_rtol"] * np.linalg.norm(expected)


golden.checks_itself = True
GOLDENS = {"dot": golden}


def run(optimizer, pairs):
    """A number's values, from 1 on, after each pair of (task, kd) gradients."""
    variable = keras.Variable(np.ones(1, "float32"))
    values = []
    for task, kd in pairs:
        task, kd = ([None if g is None else tensor([g])] for g in (task, kd))
        optimizer.apply_two(task, kd, [variable])
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
    made = DOT(rate, momentum=0.8, delta=0.1, dampening=0.2, weight_decay=0.01, use_ema=True)
    back = keras.optimizers.deserialize(keras.optimizers.serialize(made))
    assert isinstance(back, DOT)
    assert back.get_config() == made.get_config()
    assert run(back, [(1, 2), (0, 1)]) == run(made, [(1, 2), (0, 1)])


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"momentum": -0.1}, "momentum is -0.1; expected a finite number >= 0"),
        ({"delta": 0.95}, "delta is 0.95; expected a finite number >= 0 and <= 0.9"),
        ({"delta": 0.2}, "momentum is 0.9 and delta 0.2; expected a sum below 1"),
        ({"weight_decay": -1}, "weight_decay is -1; expected a finite number >= 0"),
        ({"dampening": 2}, "dampening is 2; expected a finite number >= 0 and <= 1"),
    ],
)
def test_refuses_bad_knobs(knobs, message):
    with pytest.raises(ValueError, match=message):
        DOT(**knobs)


TWO_REPLICAS = """
import numpy as np, tensorflow as tf, keras
from kd_keras.job import devices
from kd_keras.optimizers.dot import DOT

def train(replicas):
    ones = np.ones((2, 3), "float32")
    with replicas.scope():
        kernel, part = keras.Variable(ones), keras.Variable(ones[0])
        optimizer = DOT(0.1, weight_decay=0.01)
        optimizer.build([kernel, part])

    @tf.function
    def step(batch):
        count = tf.distribute.get_strategy().num_replicas_in_sync
        with tf.GradientTape(persistent=True) as tape:
            outputs = tf.matmul(batch, kernel.value)
            task = tf.reduce_mean(outputs**2) / count
            kd = tf.reduce_mean((outputs * part.value - 1) ** 2) / count
        variables = [kernel, part]
        of = lambda cost: tape.gradient(cost, [v.value for v in variables])
        optimizer.apply_two(of(task), of(kd), variables)

    data = tf.data.Dataset.from_tensor_slices(np.random.default_rng(0).normal(size=(40, 2)))
    data = data.map(lambda x: tf.cast(x, tf.float32)).batch(8)
    for batch in replicas.experimental_distribute_dataset(data):
        replicas.run(step, args=(batch,))
    return [v.numpy() for v in (kernel, part)]

two = train(devices.get("cpu:2"))
one = train(tf.distribute.OneDeviceStrategy("CPU:0"))
assert max(abs(one[0] - 1).max(), abs(one[1] - 1).max()) > 0.1
print(max(abs(a - b).max() for a, b in zip(one, two)))
"""


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.distribute")
def test_two_replicas_equal_one():
    done = subprocess.run([sys.executable, "-c", TWO_REPLICAS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) < 1e-6
