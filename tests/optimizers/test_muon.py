import keras
import numpy as np

from kd_keras.optimizers import muon


def test_weight_decay_is_decoupled_for_muons_kernels_and_for_adams():
    for shape in ((2, 2), (2,)):
        variable = keras.Variable(np.ones(shape, "float32"), name="kernel")
        optimizer = muon.make([], learning_rate=0.5, weight_decay=0.1)
        optimizer.apply([keras.ops.zeros(shape)], [variable])
        np.testing.assert_allclose(variable.numpy(), 0.95, rtol=1e-6)


def test_an_update_of_a_kernel_is_nearly_orthogonal():
    variable = keras.Variable(np.zeros((4, 4), "float32"), name="kernel")
    gradient = np.random.default_rng(0).normal(size=(4, 4)).astype("float32")
    optimizer = muon.make([], learning_rate=1.0, rms_rate=None)
    optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
    singular = np.linalg.svd(variable.numpy(), compute_uv=False)
    assert 0.6 < singular.min() <= singular.max() < 1.3


def test_it_is_saved_with_its_settings():
    optimizer = muon.make(["logits"], learning_rate=0.1, weight_decay=0.2)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert type(again) is muon.Muon
    assert (again.exclude_layers, again.adam_weight_decay) == (["^logits/"], 0.2)
