import keras
import numpy as np
import pytest

from kd_keras import methods
from kd_keras.methods.base import Batch
from kd_keras.methods.dml import dml


def model(classes=3, **head):
    inputs = keras.Input((5,))
    x = keras.layers.BatchNormalization()(keras.layers.Dense(4, activation="relu")(inputs))
    return keras.Model(inputs, keras.layers.Dense(classes, **head)(x))


def attached(student, peer=None):
    method = methods.get("dml", peer=peer)
    method.build_for({"logits": (None, 3)}, {})
    method.attach(student, None)
    return method


def batch(inputs):
    return Batch(labels=np.arange(len(inputs)) % 3, inputs=inputs)


def test_equals_the_parts_by_hand():
    # Peer (3/4, 1/4), student (1/2, 1/2): KL(p||s) = 0.130812, KL(s||p) = 0.143841, CE = ln 4/3.
    peer, student = np.log([[3.0, 1.0]]).astype("float32"), np.zeros((1, 2), "float32")
    parts = dml(student, peer, np.array([0]))
    np.testing.assert_allclose(parts["loss_student"], [0.130812], atol=1e-6)
    np.testing.assert_allclose(parts["loss_peer"], [0.143841], atol=1e-6)
    np.testing.assert_allclose(parts["loss"], [0.130812 + 0.143841 + 0.287682], atol=1e-6)


def test_each_learns_from_its_own_part(autodiff):
    arrays = {"student": np.array([[1.0, 0, 2]], "float32"), "peer": np.zeros((1, 3), "float32")}
    parts = ("loss_student", "loss_peer", "loss_peer_ce")
    wanted = [(part, name) for part in parts for name in arrays]
    _, gradients = autodiff.values_and_gradients(
        lambda t: dml(t["student"], t["peer"], np.array([0])), arrays, wanted
    )
    reached = {pair for pair, gradient in gradients.items() if np.any(gradient)}
    assert reached == {
        ("loss_student", "student"),
        ("loss_peer", "peer"),
        ("loss_peer_ce", "peer"),
    }


def test_teaches_student_and_peer(teaches):
    inputs = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    method = attached(model())
    teaches(method, {"logits": np.ones((4, 3), "float16")}, {}, batch(inputs))
    assert len(method.trainable_variables) == 6


def test_is_finite_for_one_example_with_logits_of_ten_thousand(cost_and_gradients):
    method, logits = attached(model()), np.array([[1e4, -1e4, 0]], "float32")
    inputs = np.ones((1, 5), "float32")
    cost, gradients = cost_and_gradients(method, {"logits": logits}, {}, batch(inputs))
    assert all(np.all(np.isfinite(g)) for g in (cost, *gradients.values()))


def test_the_peer_starts_with_weights_of_its_own_and_counts_its_regularisers():
    student = model(kernel_regularizer=keras.regularizers.L2(10.0))
    method, inputs = attached(student), np.zeros((2, 5), "float32")
    assert np.any(method.peer.get_weights()[0] != student.get_weights()[0])
    cost = method(student={"logits": np.zeros((2, 3), "float32")}, teacher={}, batch=batch(inputs))
    squares = 10 * np.sum(np.square(method.peer.layers[-1].get_weights()[0]))
    np.testing.assert_allclose(cost, [squares + np.log(3)] * 2, rtol=1e-5)


def test_a_copy_by_its_config_has_a_peer_of_the_same_architecture():
    method = attached(model())
    copy = methods.get("dml").from_config(method.get_config())
    assert [w.shape for w in copy.peer.weights] == [w.shape for w in method.peer.weights]


@pytest.mark.parametrize(
    ("peer", "message"),
    [
        ({"classes": 4}, "the peer has 4 classes and the student 3; expected the same"),
        ({"activation": "softmax"}, "ends in a softmax; expected logits"),
    ],
)
def test_refuses_a_peer_that_does_not_fit(peer, message):
    with pytest.raises(ValueError, match=message):
        attached(model(), model(**peer))


def test_refuses_the_student_as_its_own_peer():
    student = model()
    with pytest.raises(ValueError, match="the peer is the student itself; expected another model"):
        attached(student, student)
