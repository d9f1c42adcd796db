"""A training on batches of the pipeline that is interrupted within an epoch, and goes on there."""

import keras
import numpy as np
import pytest

from kd_keras import Distiller
from kd_keras.data.augmentation import light, policy_of
from kd_keras.data.pipeline import BatchPlan
from kd_keras.data.stores.store import Split
from kd_keras.distill.callbacks.checkpoint import Checkpoint

CLASSES, EPOCHS, STEPS, BATCH = 5, 2, 4, 6
MIXED = policy_of("light", crop_padding=1, flip=True, mixup=0.4, cutmix=1.0)
#: By name: labels of n images, the policy, and options of the Distiller and of `compile`.
KINDS = {
    "mixed": (lambda n: np.arange(n, dtype=np.int32) % CLASSES, MIXED, {}, {}),
    "unknown labels": (
        lambda n: np.where(np.arange(n) % 3, np.arange(n) % CLASSES, -1).astype(np.int32),
        light(crop_padding=1, flip=True),
        {},
        {"ignore_class": -1},
    ),
    "several classes": (
        lambda n: (np.arange(n * CLASSES).reshape(n, CLASSES) % 3 == 0).astype(np.int32),
        light(crop_padding=1, flip=True),
        {"label_mode": "multi"},
        {},
    ),
}


class Stop(Exception):
    """Ends a training as a crash would."""


class StopAt(keras.callbacks.Callback):
    """Raises after so many steps of the first epoch."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        if batch + 1 == self.step:
            raise Stop


@pytest.mark.parametrize(
    "kind",
    ["mixed", *(pytest.param(k, marks=pytest.mark.extended) for k in KINDS if k != "mixed")],
)
def test_it_ends_equal_to_one_without_interruption(net, tmp_path, kind):
    make_labels, policy, options, compile_options = KINDS[kind]
    count = BATCH * STEPS
    images = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    split = Split(images, make_labels(count), np.arange(count))
    plan = BatchPlan(split, batch_size=BATCH, seed=1, policy=policy, num_classes=CLASSES)

    def train(folder, *callbacks):
        distiller = Distiller(net("student"), **options)
        distiller.compile(keras.optimizers.SGD(0.1), **compile_options)
        with Checkpoint(tmp_path / folder, minutes=0) as checkpoint:
            distiller.fit(
                plan.dataset(
                    checkpoint.first_epoch * STEPS, EPOCHS * STEPS, dropped=checkpoint.skipped
                ),
                initial_epoch=checkpoint.first_epoch,
                epochs=EPOCHS,
                steps_per_epoch=STEPS,
                callbacks=[checkpoint, *callbacks],
                verbose=0,
            )
        return distiller.student.get_weights(), checkpoint

    with pytest.raises(Stop):
        train("interrupted", StopAt(2))
    continued, checkpoint = train("interrupted")
    assert checkpoint.skipped == 2
    for one, other in zip(continued, train("whole")[0], strict=True):
        np.testing.assert_array_equal(one, other)
