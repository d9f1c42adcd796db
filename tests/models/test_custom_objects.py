import sys

import keras
import numpy as np
import pytest

from kd_keras.job.checks import precheck
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.models import custom_objects, model_files

MODULE = """
import keras

@keras.saving.register_keras_serializable(package="kd_keras_test")
class Half(keras.layers.Layer):
    def call(self, x):
        return x / 2
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module in the current folder, known to Keras only while it is imported."""
    (tmp_path / "my_layers.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "my_layers"
    forget()


def forget():
    sys.modules.pop("my_layers", None)
    keras.saving.get_custom_objects().pop("kd_keras_test>Half", None)


def test_a_file_of_custom_layers_opens_once_its_module_is_imported(module, tmp_path):
    custom_objects.register([module])
    images = keras.Input((8, 8, 3))
    x = keras.layers.GlobalAveragePooling2D()(sys.modules[module].Half()(images))
    model = keras.Model(images, keras.layers.Dense(3)(x))
    paths = tmp_path / "own.keras", tmp_path / "own.h5"
    for path in paths:
        model.save(path)
    forget()
    for path in paths:
        with pytest.raises(ValueError, match="--import MODULE"):
            model_files.open_model(path)
    precheck.check_recipe(Recipe(imports=module))
    pixels = np.ones((2, 8, 8, 3), "float32")
    for path in paths:
        np.testing.assert_allclose(model_files.open_model(path)(pixels), model(pixels), rtol=1e-6)


def test_a_module_that_is_not_there_is_named(module):
    with pytest.raises(ValueError, match=r"--import is 'no_such_layers', which cannot be imported"):
        custom_objects.register([module, "no_such_layers"])
