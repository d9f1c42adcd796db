import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_keras import Distiller, methods
from kd_keras.distill.callbacks.stop_early import StopEarly
from kd_keras.distill.callbacks.stop_on_nan import NonFiniteError, StopOnNaN
from kd_keras.distill.step import batches, unknown_labels

UNKNOWN = -1


@pytest.fixture
def partly(labels):
    """Labels of 40 images; of two thirds they are unknown, of the second 16 all are."""
    partly = np.where(np.arange(len(labels)) % 3 == 0, labels, UNKNOWN)
    partly[16:32] = UNKNOWN
    return partly


def distilled(net, teacher, *, smoothing=0.0, ce_weight=0.5, method="kd"):
    chosen_methods = [methods.get(method)] if method else []
    return Distiller(
        net("student", norm=False),
        teacher=teacher if method else None,
        methods=chosen_methods,
        ce_weight=ce_weight,
        label_smoothing=smoothing,
    )


def gradients_by_hand(distiller, images, labels, weights, smoothing):
    """Of ce_weight * masked mean + weight * mean of kd; written without the package's losses."""
    student, known = distiller.student, labels != UNKNOWN
    target = np.eye(5)[np.where(known, labels, 0)] * (1 - smoothing) + smoothing / 5
    (kd,) = distiller.methods
    with tf.GradientTape() as tape:
        logits = student(images, training=True)
        per_label = -tf.reduce_sum(target * tf.nn.log_softmax(tf.cast(logits, "float64")), axis=-1)
        ce = tf.reduce_sum((per_label * weights)[known]) / max(known.sum(), 1)
        soft = tf.nn.softmax(tf.cast(distiller.teacher(images), "float64") / kd.temperature)
        log_q = tf.nn.log_softmax(tf.cast(logits, "float64") / kd.temperature)
        example_loss = kd.temperature**2 * tf.reduce_sum(
            soft * (tf.math.log(soft) - log_q), axis=-1
        )
        loss = distiller.ce_weight * ce + kd.weight * tf.reduce_mean(example_loss * weights)
    return tape.gradient(loss, student.trainable_variables)


@pytest.mark.parametrize("rows", [slice(0, 16), slice(16, 32)], ids=["some known", "none known"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_gradient_is_that_of_a_mean_over_the_known_labels(
    net, teacher, images, partly, rows, smoothing
):
    distiller = distilled(net, teacher, smoothing=smoothing)
    x, y = images[rows], partly[rows]
    weights = np.linspace(0.5, 2.0, len(x)).astype("float32")
    expected = gradients_by_hand(distiller, x, y, weights, smoothing)
    before = [v.numpy() for v in distiller.student.trainable_variables]
    distiller.compile(keras.optimizers.SGD(1.0), ignore_class=UNKNOWN)
    distiller.train_on_batch(x, y, sample_weight=weights)
    for old, variable, gradient in zip(
        before, distiller.student.trainable_variables, expected, strict=True
    ):
        np.testing.assert_allclose(old - variable.numpy(), gradient, rtol=1e-4, atol=2e-6)


def test_rows_of_probabilities_with_a_negative_value_are_unknown(net, teacher, images, partly):
    known = partly != UNKNOWN
    rows = np.where(known[:, None], np.eye(5)[partly], -1.0).astype("float32")
    weights = []
    for y in (partly, rows):
        distiller = distilled(net, teacher)
        distiller.compile(keras.optimizers.SGD(0.1), ignore_class=UNKNOWN)
        distiller.fit(images, y, batch_size=16, verbose=0, shuffle=False)
        weights.append([v.numpy() for v in distiller.student.trainable_variables])
    for of_classes, of_rows in zip(*weights, strict=True):
        np.testing.assert_allclose(of_rows, of_classes, rtol=1e-5, atol=1e-6)
    mixed = 0.3 * rows + 0.7 * rows[::-1]
    np.testing.assert_array_equal(unknown_labels.known(mixed, -1), known & known[::-1])


def test_training_without_a_method_is_training_on_the_known_images(net, images, partly):
    """A batch's unknown images change nothing, not even by their number."""
    known, logs, weights = np.flatnonzero(partly != UNKNOWN)[:6], [], []
    for x, y in ((images[:16], partly[:16]), (images[known], partly[known])):
        distiller = distilled(net, None, method=None)
        distiller.compile(keras.optimizers.SGD(0.1), metrics=["accuracy"], ignore_class=UNKNOWN)
        logs.append(distiller.train_on_batch(x, y, return_dict=True))
        weights.append([v.numpy() for v in distiller.student.trainable_variables])
    assert logs[0] == pytest.approx(logs[1], rel=1e-5)
    for expected, part in zip(*weights, strict=True):
        np.testing.assert_allclose(expected, part, rtol=1e-5, atol=1e-7)


def test_metrics_and_validation_count_known_labels_only(net, teacher, images, labels, partly):
    known = partly != UNKNOWN
    distiller = distilled(net, teacher)
    metrics = ["accuracy", keras.metrics.SparseCategoricalCrossentropy(from_logits=True, name="x")]
    distiller.compile(
        keras.optimizers.SGD(0.0),
        metrics=metrics,
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy(name="weighted")],
        ignore_class=UNKNOWN,
    )
    weights = np.linspace(0.5, 2.0, len(images)).astype("float32")
    history = distiller.fit(images, partly, sample_weight=weights, batch_size=16, verbose=0).history
    evaluated = distiller.evaluate(images, partly, batch_size=16, verbose=0, return_dict=True)
    logits = distiller.student(images).numpy()
    right = logits.argmax(axis=-1) == labels
    example_loss = keras.losses.sparse_categorical_crossentropy(
        labels, logits, from_logits=True
    ).numpy()
    assert history["accuracy"][0] == pytest.approx(right[known].mean())
    assert history["weighted"][0] == pytest.approx(np.average(right[known], weights=weights[known]))
    assert history["ce"][0] == pytest.approx((example_loss * weights)[known].mean(), rel=1e-4)
    assert evaluated["loss"] == pytest.approx(example_loss[known].mean(), rel=1e-4)
    assert evaluated["x"] == pytest.approx(example_loss[known].mean(), rel=1e-4)
    assert evaluated["accuracy"] == pytest.approx(right[known].mean())


def test_without_any_labels_only_the_methods_are_minimised(net, teacher, images):
    trained = []
    for data in ((images,), (tf.data.Dataset.from_tensor_slices(images).batch(16),)):
        distiller = distilled(net, teacher, method="hard")
        distiller.compile(keras.optimizers.SGD(0.1), metrics=["accuracy"])
        options = {} if isinstance(data[0], tf.data.Dataset) else {"batch_size": 16}
        history = distiller.fit(*data, shuffle=False, verbose=0, **options).history
        assert history["loss"][0] == pytest.approx(0.5 * history["hard"][0], rel=1e-5)
        trained.append([v.numpy() for v in distiller.student.trainable_variables])
    for arrays, dataset in zip(*trained, strict=True):
        np.testing.assert_array_equal(arrays, dataset)


def test_without_any_labels_nothing_is_logged_that_needs_them(net, teacher, images, labels):
    distiller = distilled(net, teacher)
    distiller.compile(keras.optimizers.SGD(0.1), metrics=["accuracy"], ignore_class=UNKNOWN)
    of_teacher = {"loss", "kd", "kd_share", "agreement"}
    names = {*of_teacher, "ce", "ce_share", "accuracy"}
    alone = distiller.fit(images, validation_data=(images, labels), verbose=0).history
    assert set(alone) == {*of_teacher, "val_loss", "val_ce", "val_accuracy"}
    assert set(distiller.fit(images, labels, verbose=0).history) == names
    as_dataset = tf.data.Dataset.from_tensor_slices(images).batch(16)
    assert set(distiller.fit(as_dataset, verbose=0).history) == of_teacher
    assert set(distiller.train_on_batch(images, labels, return_dict=True)) == names
    assert set(distiller.train_on_batch(images, return_dict=True)) == of_teacher


class Batches(keras.utils.PyDataset):
    """Batches of 16 of arrays; like a generator, it shows its labels batch by batch."""

    def __init__(self, *arrays):
        super().__init__()
        self.arrays = arrays

    def __len__(self):
        return -(-len(self.arrays[0]) // 16)

    def __getitem__(self, index):
        return tuple(array[16 * index : 16 * index + 16] for array in self.arrays)


def test_labels_that_are_all_unknown_are_logged_as_none(net, teacher, images, labels, partly):
    """Also where only the batches show it; a later epoch with labels logs all again."""
    distiller = distilled(net, teacher)
    distiller.compile(keras.optimizers.SGD(0.1), metrics=["accuracy"], ignore_class=UNKNOWN)
    none, of_teacher = np.full(40, UNKNOWN), {"loss", "kd", "kd_share", "agreement"}
    names = {*of_teacher, "ce", "ce_share", "accuracy"}

    def dataset(y):
        return tf.data.Dataset.from_tensor_slices((images, y)).batch(16)

    def generator(y):
        yield from Batches(images, y)

    for form in (Batches, generator, dataset):
        for y, expected in ((none, of_teacher), (partly, names)):
            data = form(images, y) if form is Batches else form(y)
            assert set(distiller.fit(data, verbose=0).history) == expected
    validated = distiller.fit(images, none, validation_data=(images, labels), verbose=0).history
    assert set(validated) == {*of_teacher, "val_loss", "val_ce", "val_accuracy"}


class StepLogs(keras.callbacks.Callback):
    """Keeps each step's logs, as progress bars show them."""

    def on_train_begin(self, logs=None):
        self.steps = []

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(dict(logs))


@pytest.mark.parametrize("eagerly", [True, False])
def test_values_of_labels_are_nan_until_a_label_is_known(net, teacher, images, partly, eagerly):
    distiller, steps = distilled(net, teacher), StepLogs()
    distiller.compile(metrics=["accuracy"], ignore_class=UNKNOWN, run_eagerly=eagerly)
    order = np.r_[16:32, 0:16]  # the first batch has no label
    callbacks = [StopOnNaN(), steps]
    distiller.fit(
        images[order], partly[order], batch_size=16, shuffle=False, callbacks=callbacks, verbose=0
    )
    first, second = steps.steps
    assert {name for name, value in first.items() if np.isnan(value)} == {
        *("ce", "ce_share", "accuracy")
    }
    assert np.isfinite(list(second.values())).all()


def test_a_loss_that_is_nan_is_not_explained_by_unknown_labels(net, teacher, images):
    distiller = distilled(net, teacher)
    distiller.compile(ignore_class=UNKNOWN)
    distiller.methods[0].weight = np.nan
    with pytest.raises(NonFiniteError, match="loss became nan") as raised:
        distiller.fit(images, np.full(40, UNKNOWN), callbacks=[StopOnNaN()], verbose=0)
    assert "The cross-entropy with the labels is not finite" not in str(raised.value)


def test_validation_without_known_labels_reports_nothing_of_labels(net, teacher, images, labels):
    """A warning says so, and what monitors such a value says that it is missing."""
    distiller, none = distilled(net, teacher), np.full(40, UNKNOWN)
    distiller.compile(metrics=["accuracy"], ignore_class=UNKNOWN)
    monitors = [StopOnNaN(), keras.callbacks.EarlyStopping("val_loss")]
    with (
        pytest.warns(
            UserWarning, match="evaluated data are unknown, so accuracy, ce, loss are not"
        ),
        pytest.warns(UserWarning, match="metric `val_loss` which is not available"),
    ):
        history = distiller.fit(
            images, labels, validation_data=(images, none), callbacks=monitors, verbose=0
        ).history
    assert not [name for name in history if name.startswith("val_")]
    with pytest.warns(UserWarning, match="all labels of the evaluated data"):
        assert np.isnan(distiller.evaluate(images, none, verbose=0)).tolist() == [True] * 3
    stop = StopEarly((images, none), patience=1)
    with (
        pytest.warns(UserWarning, match="all labels of the evaluated data"),
        pytest.raises(ValueError, match="held-out images have no known labels"),
    ):
        distiller.fit(images, labels, callbacks=[stop], verbose=0)


def test_what_needs_labels_is_refused_by_name(net, teacher, images, labels):
    distiller = distilled(net, teacher, method="dkd")
    with pytest.raises(
        ValueError, match=r"ignore_class is -1, .* methods \['dkd'\] need the label"
    ):
        distiller.compile(ignore_class=UNKNOWN)
    distiller.compile()
    with pytest.raises(ValueError, match="came without labels, which are needed by: dkd;"):
        distiller.fit(images, verbose=0)
    alone = distilled(net, None, method=None)
    alone.compile(ignore_class=UNKNOWN)
    with pytest.raises(ValueError, match=r"without labels, .*: training without a method;"):
        alone.fit(images, verbose=0)
    alone.fit(images[:16], labels[:16], verbose=0)
    with pytest.raises(ValueError, match=r"without labels, .* or validation"):
        alone.evaluate(images, verbose=0)


@pytest.mark.parametrize("wrong", [0, 4, 1.5, True, "-1"])
def test_a_class_of_the_student_or_no_number_cannot_mean_unknown(net, wrong):
    distiller = distilled(net, None, method=None)
    with pytest.raises(ValueError, match=r"ignore_class is .*; expected a whole number that is no"):
        distiller.compile(ignore_class=wrong)


def test_unknown_labels_are_asked_for(net, images, partly):
    distiller = distilled(net, None, method=None)
    distiller.compile()
    with pytest.raises(ValueError, match=r"labels hold -1; .* compile with ignore_class=-1"):
        distiller.fit(images, partly, verbose=0)
    distiller.compile(ignore_class=UNKNOWN)
    with pytest.raises(ValueError, match="class_weight is given, and labels may be unknown"):
        distiller.fit(images, partly, class_weight={0: 2.0}, verbose=0)
    with pytest.raises(ValueError, match="labels hold -2"):
        distiller.fit(images, np.where(partly < 0, -2, partly), verbose=0)
    data = tf.data.Dataset.from_tensor_slices((images, np.where(partly < 0, 7, partly))).batch(8)
    with pytest.raises(ValueError, match="labels hold 7"):
        distiller.fit(data, verbose=0)
    distiller.fit(tf.data.Dataset.from_tensor_slices((images, partly)).batch(8), verbose=0)


def test_a_saved_distiller_keeps_what_means_unknown(net, images, partly, tmp_path):
    distiller = distilled(net, None, method=None)
    distiller.compile(keras.optimizers.SGD(0.1), ignore_class=UNKNOWN)
    distiller.fit(images[:16], partly[:16], verbose=0)
    distiller.save(tmp_path / "distiller.keras")
    loaded = keras.models.load_model(tmp_path / "distiller.keras")
    assert loaded.ignore_class == UNKNOWN
    loaded.fit(images[:16], partly[:16], verbose=0)


def test_a_batch_without_labels_has_unknown_ones(images):
    examples = batches.unpack((images[:3],), needs_labels=())
    np.testing.assert_array_equal(examples.labels, [-1, -1, -1])
    np.testing.assert_array_equal(examples.known, [False] * 3)
    assert batches.unpack((images, np.zeros(40))).known is None
