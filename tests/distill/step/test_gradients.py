import keras
import numpy as np
import pytest
import tensorflow as tf

from kd_keras.distill.step import gradients
from kd_keras.distill.step.objective import Loss
from kd_keras.optimizers import dot


def loss_of(task, distillation):
    parts = {"task": task, "distillation": distillation}
    return Loss({}, {}, task, distillation, parts)


def test_adam_is_the_default_and_names_are_taken():
    default = gradients.optimizer_for(None, precision="float32")
    assert type(default) is keras.optimizers.Adam
    assert float(default.learning_rate) == pytest.approx(0.001)
    assert type(gradients.optimizer_for("sgd", precision="mixed_bfloat16")) is keras.optimizers.SGD


def test_float16_has_its_loss_scaled_once():
    scaled = gradients.optimizer_for("sgd", precision="mixed_float16")
    assert type(scaled) is keras.optimizers.LossScaleOptimizer
    assert gradients.optimizer_for(scaled, precision="mixed_float16") is scaled


def test_gradients_of_parts_cannot_be_scaled():
    optimizer = gradients.optimizer_for(dot.DOT(), precision="mixed_bfloat16")
    assert gradients.gradient_parts(optimizer) == ("task", "distillation")
    message = (
        r"'dot' takes the gradients of task and distillation separately, and these cannot be scaled"
    )
    with pytest.raises(ValueError, match=message):
        gradients.optimizer_for(dot.DOT(), precision="mixed_float16")


def test_parts_that_no_loss_has_are_refused():
    assert gradients.gradient_parts(keras.optimizers.SGD()) == ()
    optimizer = dot.DOT()
    optimizer.gradient_parts = ("task", "methods")
    with pytest.raises(ValueError, match=r"gradient_parts of optimizer 'dot' is 'methods'; expe"):
        gradients.optimizer_for(optimizer, precision="float32")


def test_gradients_of_parts_of_an_embedding_are_clipped():
    optimizer = dot.DOT(0.5, momentum=0.0, delta=0.0, global_clipnorm=1.0)
    variable = keras.Variable(np.zeros((3, 2), "float32"))
    optimizer.build([variable])
    with tf.GradientTape(persistent=True) as tape:
        rows = tf.gather(variable.value, [0, 0, 2])
        losses = tf.reduce_sum(3 * rows), tf.reduce_sum(rows)
    gradients.step(optimizer, tape, loss_of(*losses), [variable])
    # Row 0 has the gradient 8 and row 2 the gradient 4, each twice; the norm is sqrt(160).
    expected = -0.5 * np.array([[8, 8], [0, 0], [4, 4]]) / np.sqrt(160)
    np.testing.assert_allclose(variable.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("scaled", [False, True])
def test_a_step_follows_the_sum_of_the_losses(scaled):
    optimizer = keras.optimizers.SGD(0.5)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    variable, idle = keras.Variable([1.0, 2.0]), keras.Variable(3.0)
    optimizer.build([variable, idle])
    with tf.GradientTape() as tape:
        losses = tf.reduce_sum(variable**2), tf.reduce_sum(3 * variable)
    gradients.step(optimizer, tape, loss_of(*losses), [variable, idle])
    np.testing.assert_allclose(variable, [1 - 0.5 * (2 + 3), 2 - 0.5 * (4 + 3)])
    assert float(idle) == 3


@pytest.mark.parametrize("how", ["clipnorm", "global_clipnorm", "clipvalue"])
def test_summed_gradients_are_clipped_as_the_optimizer_clips(how):
    optimizer = keras.optimizers.SGD(**{how: 1.5})
    tensors = [tf.constant([3.0, -4.0, 0.1]), tf.constant([[0.2, 12.0]])]
    expected = optimizer._clip_gradients(tensors)
    result = gradients._clipped([8 * g for g in tensors], optimizer, 8.0)
    for one, other in zip(result, expected, strict=True):
        np.testing.assert_allclose(one, 8 * other, rtol=1e-6)
    infinite = gradients._clipped([tf.constant([np.inf, 1.0])], optimizer, 8.0)
    assert not np.isfinite(infinite).all()  # for the loss scaling to see
