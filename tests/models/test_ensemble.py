import keras
import numpy as np
import pytest
from keras import layers

from kd_keras import Distiller, methods, models
from kd_keras.graph import taps, twins
from kd_keras.models import ensemble


def constant(logits, *, activation=None, size=4, name="fixed"):
    """A classifier that gives the same logits for every image."""
    images = keras.Input((size, size, 1))
    dense = layers.Dense(len(logits), activation=activation, name="logits")
    model = keras.Model(images, dense(layers.Flatten(name="pooled")(images)), name=name)
    dense.kernel.assign(np.zeros((size * size, len(logits))))
    dense.bias.assign(logits)
    return model


IMAGES = np.random.default_rng(0).uniform(0, 255, (3, 4, 4, 1)).astype("float32")


def test_the_mean_by_hand():
    mean = ensemble.mean_of_logits([constant([1.0, 3.0]), constant([5.0, -1.0])])
    np.testing.assert_allclose(mean(IMAGES), [[3.0, 1.0]] * 3, rtol=1e-6)


def test_weights_are_divided_by_their_sum():
    # 0.75 * (1, 3) + 0.25 * (5, -1) = (2, 2)
    mean = ensemble.mean_of_logits([constant([1.0, 3.0]), constant([5.0, -1.0])], [6, 2])
    np.testing.assert_allclose(mean(IMAGES), [[2.0, 2.0]] * 3, rtol=1e-6)


def test_a_softmax_counts_as_its_log_probabilities():
    probabilities = constant([np.log(3.0), 0.0], activation="softmax")  # 3/4, 1/4
    mean = ensemble.mean_of_logits([probabilities, constant([0.0, 2.0])])
    expected = [np.log(0.75) / 2, np.log(0.25) / 2 + 1]
    np.testing.assert_allclose(mean(IMAGES), [expected] * 3, rtol=1e-5)


@pytest.mark.parametrize(
    ("members", "weights", "message"),
    [
        ([[1.0, 2.0]], None, r"got 1 model; expected two or more"),
        ([[1.0, 2.0], [1.0, 2.0, 3.0]], None, r"classes differ: 'fixed' 2, 'fixed' 3; expected"),
        ([[1.0, 2.0]] * 2, [1], r"weights are \[1\] for 2 models; expected one finite number >= 0"),
        ([[1.0, 2.0]] * 2, [1, -1], r"weights are \[1, -1\] for 2 models"),
        ([[1.0, 2.0]] * 2, [1, float("nan")], r"weights are \[1, nan\] for 2 models"),
        ([[1.0, 2.0]] * 2, [0, 0], r"not all 0\. They are divided by their sum"),
    ],
)
def test_what_has_no_mean_is_refused_with_a_message(members, weights, message):
    with pytest.raises(ValueError, match=message):
        ensemble.mean_of_logits([constant(logits) for logits in members], weights)


def test_other_inputs_and_heads_are_refused():
    with pytest.raises(ValueError, match=r"inputs differ: 'a' \(4, 4, 1\), 'b' \(8, 8, 1\)"):
        ensemble.mean_of_logits([constant([1, 2], name="a"), constant([1, 2], size=8, name="b")])
    with pytest.raises(ValueError, match=r"ends in a sigmoid"):
        ensemble.mean_of_logits([constant([1, 2]), constant([1, 2], activation="sigmoid")])


@pytest.fixture(scope="module")
def members():
    """Two models of one family, whose layers have the same names."""
    keras.utils.set_random_seed(0)
    shape = {"num_classes": 3, "input_shape": (8, 8, 1), "width": 0.25}
    return [models.get("resnet8", **shape) for _ in range(2)]


def test_taps_of_a_member_are_found_by_its_number(members):
    images = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 1)).astype("float32")
    mean = ensemble.mean_of_logits(members)
    tapped = taps.tapped_model(mean, ["teacher_1/stage2", "teacher_2/stage2"])(images)
    for number, member in enumerate(members, 1):
        expected = taps.tapped_model(member, ["stage2"])(images)["stage2"]
        np.testing.assert_allclose(tapped[f"teacher_{number}/stage2"], expected, rtol=1e-6)
    np.testing.assert_allclose(tapped["logits"], mean(images), rtol=1e-6)
    with pytest.raises(ValueError, match=r"no tap 'stage2'; near ones.*teacher_\d/stage2 \(None"):
        taps.tapped_model(mean, ["stage2"])


def test_it_teaches_and_its_members_stay_as_they_are(members):
    images = np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 1)).astype("float32")
    before = [value.copy() for member in members for value in member.get_weights()]
    student = models.get("resnet8", num_classes=3, input_shape=(8, 8, 1), width=0.25)
    hint = methods.get("fitnet", tap="stage2", teacher_tap="teacher_2/stage2")
    mean = ensemble.mean_of_logits(members, [1, 3])
    distiller = Distiller(
        student, teacher=mean, methods=[methods.get("kd"), hint], precision="mixed_bfloat16"
    )
    distiller.compile(keras.optimizers.SGD(0.01), run_eagerly=True)
    logs = distiller.train_on_batch(images, np.zeros(4, "int32"), return_dict=True)
    assert np.isfinite(list(logs.values())).all()
    assert logs["fitnet"] > 0
    after = [value for member in members for value in member.get_weights()]
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


def test_every_members_last_layer_stays_in_float32(members):
    twin = twins.Twin(ensemble.mean_of_logits(members), precision="mixed_bfloat16")
    policies = [c.compute_dtype for layer, c in twin._copies.values() if layer.name == "logits"]
    assert policies == ["float32", "float32"]


def test_a_saved_mean_is_plain_keras(members, tmp_path):
    images = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 1)).astype("float32")
    sequential = keras.Sequential([keras.Input((8, 8, 1)), members[1]])
    mean = ensemble.mean_of_logits([members[0], sequential], [1, 2])
    mean.save(tmp_path / "mean.keras")
    again = keras.models.load_model(tmp_path / "mean.keras")
    np.testing.assert_allclose(again(images), mean(images), rtol=1e-6)
