"""Batches whose gradients are gathered give what the large batch gives."""

import keras
import numpy as np
import pytest

from kd_keras.data import pipeline
from kd_keras.data.augmentation import light
from kd_keras.data.stores.store import Split
from kd_keras.distill.distiller import Distiller
from kd_keras.distill.step import accumulation
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.job.training import optimizer

EPOCHS, BATCH = 2, 16


@pytest.fixture
def split(labels):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    return Split(pixels, labels, np.arange(40, dtype=np.int64))


def plan(split, together):
    return pipeline.BatchPlan(
        split,
        batch_size=BATCH // together,
        accumulate=together,
        seed=1,
        policy=light(0, flip=False),
    )


def test_the_parts_of_an_update_are_the_large_batch(split):
    full_plan, parts = plan(split, 1), plan(split, 4)
    assert (full_plan.steps_per_epoch, parts.steps_per_epoch) == (2, 8)  # 40 // 4 would be 10
    for update in range(2 * EPOCHS):
        ids = [parts.batch(4 * update + part)[1] for part in range(4)]
        np.testing.assert_array_equal(np.concatenate(ids), full_plan.batch(update)[1])


OTHERS = [
    pytest.param(name, marks=pytest.mark.extended) for name in ("muon", "adamw", "lamb", "lion")
]


@pytest.mark.parametrize("name", ["sgd", *OTHERS])
def test_gathered_gradients_train_as_the_large_batch_does(net, split, name):
    ends = []
    for accumulate in (1, 4):
        keras.utils.set_random_seed(0)
        recipe = Recipe(
            batch_size=BATCH,
            accumulate=accumulate,
            optimizer=name,
            schedule="cosine",
            warmup_epochs=1,
            weight_decay=0.01,
            clip_norm=0.5,
            ema=0.5,
        )
        batches = plan(split, accumulate)
        distiller = Distiller(net("student", norm=False, l2=0.01))
        keras_optimizer = optimizer.make(
            recipe, 0.01, epochs=EPOCHS, steps=batches.steps_per_epoch, model=distiller.student
        )
        distiller.compile(keras_optimizer, run_eagerly=name != "sgd")
        for batch in batches.dataset(0, EPOCHS * batches.steps_per_epoch):
            (x, y) = batch
            distiller.train_on_batch(x, y)
        averages = [v.numpy() for v in keras_optimizer._model_variables_moving_average]
        ends.append([*distiller.student.get_weights(), *averages])
        assert int(keras_optimizer.iterations) == 2 * EPOCHS
    for actual, expected in zip(ends[1], ends[0], strict=True):
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)


def test_averages_change_with_updates_alone():
    variable = keras.Variable(np.zeros(1, "float32"))
    keras_optimizer = keras.optimizers.SGD(
        1.0, gradient_accumulation_steps=2, use_ema=True, ema_momentum=0.5
    )
    accumulation.average_after_updates(keras_optimizer)
    averages = []
    for _ in range(4):
        keras_optimizer.apply([keras.ops.convert_to_tensor([-1.0])], [variable])
        averages.append(float(keras_optimizer._model_variables_moving_average[0].numpy()[0]))
    # Values 1 and 2 after the two updates; the first average is the first value.
    np.testing.assert_allclose(averages, [0.0, 1.0, 1.0, 1.5])
