import keras
import numpy as np
import pytest
from keras import layers

from kd_keras import methods
from kd_keras.methods.base import Batch
from kd_keras.methods.parts import decay
from kd_keras.methods.wkd import class_distances, wkd

# The labels, and the decay to 0 at the end, alone lower much of its loss.
CONTRACT = {"ce_weight": 0.0, "decay_start": 1.0}


def golden(arrays, config):
    parts = wkd(
        arrays["student_logits"],
        arrays["teacher_logits"],
        arrays["labels"],
        arrays["class_cost"],
        temperature=config["temperature"],
        sharpness=config["sharpen"],
        regularization=config["sinkhorn_lambda"],
        iterations=config["sinkhorn_iterations"],
    )
    epochs, start = config["epochs"], config["cosine_decay_epoch"]
    factors = [decay.cosine(e / epochs, start / epochs) for e in config["decay_epochs"]]
    results = {
        **parts,
        "loss": parts["loss_target"] + config["gamma"] * parts["loss_wasserstein"],
        "out_decay_weights": keras.ops.stack([config["gamma"] * f for f in factors]),
    }
    if "class_features" in arrays:
        results["out_class_cost"] = class_distances(arrays["class_features"])
    return results


GOLDENS = {"wkd": golden}
KNOBS = {"temperature": 1.0, "sharpness": 0.0, "regularization": 0.05, "iterations": 50}


def test_transport_by_hand():
    # Label 0. The student has (3/4, 1/4) on classes 1 and 2, the teacher (1/4, 3/4): half of the
    # probability moves over the distance 0.4, which costs 0.2. Target: 1/5 of the teacher on
    # class 0, 1/2 of the student: 1/5 ln 2.
    student = np.log(np.array([[4.0, 3.0, 1.0]], "float32"))
    teacher = np.log(np.array([[1.0, 1.0, 3.0]], "float32"))
    distances = np.array([[0, 9, 9], [9, 0, 0.4], [9, 0.4, 0]], "float32")
    result = wkd(student, teacher, np.array([0]), distances, **KNOBS)
    np.testing.assert_allclose(result["loss_wasserstein"], [0.2], rtol=1e-3)
    np.testing.assert_allclose(result["loss_target"], [np.log(2) / 5], rtol=1e-5)


def test_class_distances_are_zero_for_equal_classes_and_one_for_unrelated_ones():
    one = np.array([[1.0, 0], [-1, 0], [0, 0], [0, 0]])
    other = np.array([[0, 0], [0, 0], [0, 1.0], [0, -1]])
    result = class_distances(np.stack([one, 2 * one, other]))
    np.testing.assert_allclose(result, [[0, 0, 1], [0, 0, 1], [1, 1, 0]], atol=1e-6)


def model(kernel):
    net = keras.Sequential([keras.Input((2,)), layers.Dense(4, name="logits")])
    net.get_layer("logits").kernel.assign(kernel)
    return net


def built(**knobs):
    method = methods.get("wkd", **knobs)
    method.build_for({"logits": (None, 4)}, {"logits": (None, 4)})
    return method


def test_classes_are_compared_by_the_teacher_s_weights():
    method = built()
    teacher = model(np.array([[1.0, -1, 0, 0], [0, 0, 2, -2]]) + 5)  # + 5 changes no softmax
    method.attach(None, teacher)
    opposite_or_right_angle = [[0, 2, 1, 1], [2, 0, 1, 1], [1, 1, 0, 2], [1, 1, 2, 0]]
    np.testing.assert_allclose(method.distances, opposite_or_right_angle, atol=1e-6)
    assert method.needs_teacher_model


def test_classes_are_compared_by_a_file(tmp_path):
    distances = np.random.default_rng(0).uniform(size=(4, 4)).astype("float32")
    np.save(tmp_path / "distances.npy", distances)
    method = built(class_distances_file=str(tmp_path / "distances.npy"))
    np.testing.assert_array_equal(method.distances, distances)
    assert not method.needs_teacher_model
    other = methods.get("wkd", class_distances_file=str(tmp_path / "distances.npy"))
    with pytest.raises(ValueError, match=r"wkd: .* shape \(4, 4\); expected .* in \(5, 5\)"):
        other.build_for({"logits": (None, 5)}, {"logits": (None, 5)})
    with pytest.raises(ValueError, match=r"is 'none_such\.npy', which is not a file"):
        built(class_distances_file="none_such.npy")


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ("no array", r"is not an \.npy file of numbers"),
        ("", r"is not an \.npy file of numbers"),
        (np.full((4, 4), None), r"is not an \.npy file of numbers"),
        (np.full((4, 4), "a"), r"has an array of <U1 and shape \(4, 4\)"),
        (np.full((4, 4), 1j), r"has an array of complex128 and shape \(4, 4\)"),
        (np.full((4, 4), -1.0), r"has numbers from -1\.0 to -1\.0"),
        (np.full((4, 4), np.nan), r"has numbers from nan to nan"),
        (np.full((4, 4), 1e200), r"has numbers from 1e\+200 to 1e\+200"),
    ],
    ids=["text", "empty", "objects", "strings", "complex", "negative", "nan", "large"],
)
def test_a_file_that_holds_no_distances_is_refused(tmp_path, contents, message):
    path = tmp_path / "distances.npy"
    if isinstance(contents, str):
        path.write_text(contents)
    else:
        np.save(path, contents)
    with pytest.raises(
        ValueError, match=rf"wkd: .*{message}; expected finite numbers >= 0"
    ) as error:
        built(class_distances_file=str(path))
    assert "pickle" not in str(error.value)


def test_a_saved_method_needs_no_file(tmp_path):
    path = tmp_path / "distances.npy"
    np.save(path, np.ones((4, 4), "float32"))
    method = built(class_distances_file=str(path))
    weights, shapes = method.get_weights(), method.get_build_config()
    path.unlink()
    restored = type(method).from_config(method.get_config())
    restored.build_from_config(shapes)
    restored.set_weights(weights)
    np.testing.assert_array_equal(restored.distances, np.ones((4, 4)))


def test_the_transport_s_weight_falls_at_the_end():
    method, constant = built(decay_start=0.5), built(decay_start=1.0)
    assert (method.needs_progress, constant.needs_progress) == (True, False)
    rng = np.random.default_rng(0)
    arguments = {
        who: {"logits": rng.normal(size=(2, 4)).astype("float32")} for who in ("student", "teacher")
    }

    def loss(method, progress):
        return np.asarray(method(**arguments, batch=Batch(np.array([0, 1]), progress=progress)))

    for each in (method, constant):
        each.attach(None, model(rng.normal(size=(2, 4))))
    constant.distances.assign(method.distances)
    full, end = loss(constant, 1.0), loss(method, 1.0)
    np.testing.assert_allclose(loss(method, 0.4), full, rtol=1e-6)
    np.testing.assert_allclose(loss(method, 0.75), (full + end) / 2, rtol=1e-5)
    assert np.all(end < full)


@pytest.mark.parametrize("knob", ["temperature", "regularization", "iterations"])
def test_refuses_zero(knob):
    with pytest.raises(ValueError, match=f"{knob} is 0; expected a (finite|whole) number >"):
        methods.get("wkd", **{knob: 0})
