import keras
import numpy as np
import pytest

from kd_keras import Distiller, methods
from kd_keras.methods.base import Batch
from kd_keras.methods.dml import dml


def model(classes=3, size=5, **head):
    inputs = keras.Input((size,))
    x = keras.layers.BatchNormalization()(keras.layers.Dense(4, activation="relu")(inputs))
    return keras.Model(inputs, keras.layers.Dense(classes, **head)(x))


def attached(student, peers=1):
    method = methods.get("dml", peers=peers)
    method.build_for({"logits": (None, 3)}, {})
    method.attach(student, None)
    return method


def batch(inputs):
    return Batch(labels=np.arange(len(inputs)) % 3, inputs=inputs)


def test_equals_the_parts_by_hand():
    # Peer (3/4, 1/4), student (1/2, 1/2): KL(p||s) = 0.130812, KL(s||p) = 0.143841, CE = ln 4/3.
    peer, student = np.log([[3.0, 1.0]]).astype("float32"), np.zeros((1, 2), "float32")
    parts = dml(student, [peer], np.array([0]))
    np.testing.assert_allclose(parts["loss_student"], [0.130812], atol=1e-6)
    np.testing.assert_allclose(parts["loss_peer"], [0.143841], atol=1e-6)
    np.testing.assert_allclose(parts["loss"], [0.130812 + 0.143841 + 0.287682], atol=1e-6)


def test_each_learns_from_the_mean_of_several_others(by_hand):
    rng = np.random.default_rng(0)
    student, one, two = (rng.normal(size=(4, 3)).astype("float32") for _ in range(3))
    labels = np.arange(4) % 3
    parts = dml(student, [one, two], labels)

    def mean_of_others(own, *others):
        return sum(by_hand.kl(other, own, 1.0) for other in others) / 2

    np.testing.assert_allclose(parts["loss_student"], mean_of_others(student, one, two), 1e-4)
    expected = mean_of_others(one, student, two) + mean_of_others(two, student, one)
    np.testing.assert_allclose(parts["loss_peer"], expected, 1e-4)
    expected = by_hand.cross_entropy(labels, one) + by_hand.cross_entropy(labels, two)
    np.testing.assert_allclose(parts["loss_peer_ce"], expected, 1e-5)


def test_each_learns_from_its_own_part(autodiff):
    arrays = {"student": np.array([[1.0, 0, 2]], "float32"), "peer": np.zeros((1, 3), "float32")}
    parts = ("loss_student", "loss_peer", "loss_peer_ce")
    pairs = [(part, name) for part in parts for name in arrays]
    _, gradients = autodiff.values_and_gradients(
        lambda t: dml(t["student"], [t["peer"]], np.array([0])), arrays, pairs
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


def test_is_finite_for_one_example_with_logits_of_ten_thousand(loss_and_gradients):
    method, logits = attached(model()), np.array([[1e4, -1e4, 0]], "float32")
    inputs = np.ones((1, 5), "float32")
    loss, gradients = loss_and_gradients(method, {"logits": logits}, {}, batch(inputs))
    assert all(np.all(np.isfinite(g)) for g in (loss, *gradients.values()))


def test_the_peer_starts_with_weights_of_its_own():
    student = model()
    assert np.any(attached(student).peers[0].get_weights()[0] != student.get_weights()[0])


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the Distiller's backend")
def test_regularisers_of_peers_count_once_whatever_the_weights(one_step):
    student = model(kernel_regularizer=keras.regularizers.L2(10.0))
    inputs, labels = np.ones((4, 5), "float32"), np.arange(4) % 3
    distiller = Distiller(student, methods=methods.get("dml", weight=3.0))
    kernels = [each.layers[-1].get_weights()[0] for each in (student, *distiller.methods[0].peers)]
    weights = np.array([0.0, 1.0, 0.5, 2.0], "float32")
    logs = one_step(distiller, inputs, labels, sample_weight=weights)
    squares = 10 * sum(np.sum(np.square(kernel)) for kernel in kernels)
    expected = logs["ce"] + 3 * logs["dml"] + squares
    assert logs["loss"] == pytest.approx(expected, rel=1e-4)


def test_peers_of_a_student_with_a_softmax_give_logits():
    student, inputs = model(activation="softmax"), np.ones((2, 5), "float32")
    (peer,) = attached(student).peers
    assert np.any(np.abs(np.sum(peer(inputs), axis=1) - 1) > 1e-3)
    assert [w.shape for w in peer.get_weights()] == [w.shape for w in student.get_weights()]


def test_a_copy_by_its_config_has_peers_of_the_same_architecture():
    method = attached(model(), 2)
    copy = methods.get("dml").from_config(method.get_config())
    assert [w.shape for w in copy.weights] == [w.shape for w in method.weights]
    assert len(copy.peers) == 2


@pytest.mark.parametrize(
    ("peer", "message"),
    [
        ({"classes": 4}, "the peer has 4 classes and the student 3; expected the same"),
        ({"activation": "softmax"}, "the peer 'functional.*' ends in a softmax; expected logits"),
        ({"size": 6}, "the peer .* does not take the student's inputs .*; expected a model of the"),
    ],
)
def test_refuses_a_peer_that_does_not_fit(peer, message):
    with pytest.raises(ValueError, match=message):
        attached(model(), model(**peer))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the Distiller's backend")
def test_peers_see_the_first_of_two_views(net, images, labels, by_hand, one_step):
    student, peers = net("student", norm=False), [net("a", norm=False, seed=2), net("b", seed=3)]
    chosen_methods = [methods.get("dml", peers=peers), methods.get("mlkd")]
    distiller = Distiller(student, teacher=net("teacher", seed=1), methods=chosen_methods)
    first = student(images).numpy(), *(peer(images, training=True).numpy() for peer in peers)
    expected = dml(first[0], first[1:], labels)["loss"].numpy().mean()
    views = {"inputs": np.stack([images, -images], axis=1), "id": np.arange(40)}
    assert one_step(distiller, views, labels)["dml"] == pytest.approx(expected, rel=1e-4)


@keras.saving.register_keras_serializable(package="test_dml")
class Subclassed(keras.Model):
    def __init__(self, classes, **kwargs):
        super().__init__(**kwargs)
        self.classes, self.dense = classes, keras.layers.Dense(classes)

    def call(self, inputs, training=None):
        return {"logits": self.dense(inputs)}

    def get_config(self):
        return {"name": self.name, "classes": self.classes}


class Unknown(Subclassed):
    def get_config(self):
        raise NotImplementedError


def test_a_subclassed_student_has_peers_of_its_class():
    student, inputs = Subclassed(3), np.ones((2, 5), "float32")
    student(inputs)
    method = attached(student, 2)
    kernels = [model.dense.kernel.numpy() for model in (student, *method.peers)]
    assert len({kernel.tobytes() for kernel in kernels}) == 3
    method(student={"logits": student(inputs)["logits"]}, teacher={}, batch=batch(inputs))


def test_refuses_a_student_of_which_keras_makes_no_second():
    student = Unknown(3)
    student(np.ones((2, 5), "float32"))
    with pytest.raises(
        ValueError, match=r"cannot copy the student .*, a Unknown; expected .*Give peers=\[another"
    ):
        attached(student)


def test_refuses_the_student_as_its_own_peer():
    student = model()
    with pytest.raises(ValueError, match="the peer is the student itself; expected another model"):
        attached(student, student)


def test_refuses_a_copy_that_starts_as_the_student_does():
    seeded = keras.initializers.GlorotUniform(seed=1)
    student = keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(3, kernel_initializer=seeded)]
    )
    with pytest.raises(ValueError, match="starts from the same weights, since its initializers"):
        attached(student)


@pytest.mark.parametrize("peers", [0, -1, 1.5, [], ["resnet8"], None], ids=str)
def test_refuses_what_are_no_peers(peers):
    with pytest.raises(ValueError, match=r"dml: peers is .*; expected .*\. (Give|Or give) a"):
        methods.get("dml", peers=peers)


@keras.saving.register_keras_serializable(package="test_dml")
class Scaled(keras.layers.Layer):
    """Its configuration leaves the factor out."""

    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs):
        self.add_loss(keras.ops.ones(keras.ops.shape(inputs)[:1]))  # (B,), to be summed
        return inputs * self.factor

    def get_config(self):
        return {"name": self.name}


def scaled(factor):
    parts = [Scaled(factor), keras.layers.Flatten(), keras.layers.Dense(5)]
    return keras.Sequential([keras.Input((8, 8, 3)), *parts])


def test_refuses_a_student_whose_configuration_leaves_an_argument_out():
    with pytest.raises(ValueError, match="computes something else, since the get_config"):
        Distiller(scaled(2.0), methods=methods.get("dml"))


def test_sums_a_loss_of_a_value_per_example_of_its_peers(images, labels, one_step):
    method = methods.get("dml", weight=1.0)
    distiller = Distiller(scaled(1.0), methods=method)
    logits, (peer,) = distiller.student(images[:8]), method.peers
    parts = dml(np.asarray(logits), [np.asarray(peer(images[:8]))], labels[:8])
    logs = one_step(distiller, images[:8], labels[:8])
    assert logs["dml"] == pytest.approx(np.mean(parts["loss"]), rel=1e-4)
    assert logs["loss"] == pytest.approx(logs["ce"] + logs["dml"] + 2 * 8, rel=1e-4)
