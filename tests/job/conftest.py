import numpy as np
import pytest


@pytest.fixture(scope="session")
def recorder():
    """recorder() is a screen that keeps what it is told in `lines` and prints nothing."""
    from kd_keras.results.terminal.screen import Screen

    class Recorder(Screen):
        def __init__(self):
            self.lines = []

        def say(self, text):
            self.lines.append(text)

        warn = say

        def table(self, title, columns, rows):
            self.lines.append(title)

    return Recorder


@pytest.fixture(scope="session")
def tiny_recipe():
    """tiny_recipe(**fields): a recipe of a run that takes seconds, with these fields in place."""
    from kd_keras.job.recipe.recipe_files import Recipe

    tiny = {
        "dataset": "digits",
        "teacher": "seed_student",
        "student": "seed_student:width=0.5",
        "method": ["kd"],
        "epochs": 1,
        "teacher_epochs": 1,
        "batch_size": 256,
        "learning_rate": 0.01,
        "precision": "float32",
        "allow_weak_teacher": True,
    }
    return lambda **fields: Recipe(**{**tiny, **fields})


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory):
    """Stores and scores of this file's tests go to a folder of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KD_KERAS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def images_of():
    """images_of(count, side) gives count random images, (count, side, side, 3) uint8."""

    def make(count, side=8):
        shape = (count, side, side, 3)
        return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)

    return make


@pytest.fixture(scope="session")
def interrupted_after():
    """interrupted_after(phase, step): a `Checkpoint.on_train_batch_end` that interrupts the run.

    It does when so many steps of the phase are done, after it has written a checkpoint.
    """
    from kd_keras.distill.callbacks import training_state
    from kd_keras.distill.callbacks.checkpoint import Checkpoint

    def make(phase, step):
        usual = Checkpoint.on_train_batch_end

        def hook(self, batch, logs=None):
            usual(self, batch, logs)
            steps = self._epoch * self.params["steps"] + batch + 1
            if phase in self.models and steps == step:
                self._unwritten = self._position(), training_state.read(self.models)
                self._write()
                raise KeyboardInterrupt

        return hook

    return make
