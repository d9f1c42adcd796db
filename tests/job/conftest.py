import numpy as np
import pytest


@pytest.fixture(scope="session")
def recorder():
    """recorder() is a screen that stores its lines in `lines` and prints nothing."""
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
        "teacher": "plain_cnn4",
        "student": "plain_cnn4:width=0.5",
        "method": ["kd"],
        "epochs": 1,
        "teacher_epochs": 1,
        "batch_size": 256,
        "learning_rate": 0.01,
        "precision": "float32",
        "allow_weak_teacher": True,
    }
    return lambda **fields: Recipe(**{**tiny, **fields})


@pytest.fixture(scope="session")
def digits_teacher(tmp_path_factory):
    """The file of an untrained teacher for digits, of a few thousand weights; do not change it."""
    from kd_keras import models

    path = tmp_path_factory.mktemp("digits_teacher") / "teacher.keras"
    models.get("plain_cnn4", num_classes=10, input_shape=(8, 8, 1), width=0.5).save(path)
    return str(path)


@pytest.fixture(scope="session")
def cacheable_recipe(digits_teacher):
    """cacheable_recipe(**fields): two epochs of one view by `digits_teacher`, with these fields."""
    from kd_keras.job.recipe import recipe_files

    cacheable = {
        "teacher": digits_teacher,
        "student": "plain_cnn4:width=0.5",
        "epochs": 2,
        "batch_size": 256,
        "views": 1,
        "allow_weak_teacher": True,
        "precision": "float32",
    }
    return lambda **fields: recipe_files.resolve("quickstart", {**cacheable, **fields})


@pytest.fixture(scope="session")
def cached_rows():
    """cached_rows(recipe, data, **options): the cache that a run of the recipe on one device uses.

    None where the teacher runs beside the student; options as of `cached_teacher.from_model`.
    """
    from kd_keras.job.hardware import devices
    from kd_keras.job.models import cached_teacher
    from kd_keras.models import model_files
    from kd_keras.results.terminal.screen import Screen

    def make(recipe, data, **options):
        teacher = model_files.open_model(recipe.teacher[0], num_classes=10)
        usual = {"views_per_image": 1, "precision": "float32", "strategy": devices.get()}
        usual["screen"] = Screen(quiet=True)
        return cached_teacher.from_model(recipe, data, teacher, [], **{**usual, **options})

    return make


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
