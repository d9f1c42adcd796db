import keras
import numpy as np
import pytest

from kd_keras import methods
from kd_keras.methods.base import Batch
from kd_keras.methods.parts import projectors
from kd_keras.methods.wkd_feature import bottleneck, wkd_feature

CONTRACT = {"decay_start": 1.0}  # otherwise the loss is 0 at the end, whatever was learned


def golden(arrays, config):
    student, teacher = arrays["student_feature"], arrays["teacher_feature"]
    knobs = {"mean_weight": config["mean_weight"], "grid": config["grid"]}
    if config["projector"] == "none":
        return wkd_feature(student, teacher, **knobs)
    if config["projector"] == "conv":
        part = projectors.Regressor(tuple(teacher.shape))
        part.build(tuple(student.shape))
        convolutions, norm, ends = [part.convolution], part.norm, [""]
    else:
        part = bottleneck(tuple(student.shape), teacher.shape[-1], hidden_channels=config["hidden"])
        convolutions, norm, ends = part.layers[:3], part.layers[3], ["_0", "_1", "_2"]
    weights = [(norm.gamma, arrays["bn_gamma"]), (norm.beta, arrays["bn_beta"])]
    for convolution, end in zip(convolutions, ends, strict=True):
        weights.append((convolution.kernel, arrays[f"conv_kernel{end}"]))
        weights.append((convolution.bias, arrays[f"conv_bias{end}"]))
    with keras.StatelessScope(state_mapping=weights):
        return wkd_feature(part(student, training=True), teacher, **knobs)


GOLDENS = {"wkd_feature": golden}


def test_equals_the_sums_by_hand():
    # Student 1, 3: mean 2, variance 2. Teacher 0, 0: mean 0, variance 0.
    student = np.array([1.0, 3.0], "float32").reshape(1, 1, 2, 1)
    result = wkd_feature(student, np.zeros_like(student), mean_weight=3.0, grid=1)
    deviations = (np.sqrt(2.00001) - np.sqrt(0.00001)) ** 2
    np.testing.assert_allclose(result["loss_mean"], [4.0], rtol=1e-6)
    np.testing.assert_allclose(result["loss_std"], [deviations], rtol=1e-5)
    np.testing.assert_allclose(result["loss"], [12 + deviations], rtol=1e-5)


def test_places_within_a_window_may_change_their_order():
    rng = np.random.default_rng(0)
    teacher = rng.normal(size=(2, 4, 4, 3)).astype("float32")
    turned = teacher.reshape(2, 2, 2, 2, 2, 3)[:, :, ::-1, :, ::-1].reshape(teacher.shape)
    same = wkd_feature(turned, teacher, mean_weight=1.0, grid=2)["loss"]
    np.testing.assert_allclose(same, np.zeros(2), atol=1e-6)
    swapped = teacher[:, ::-1]  # windows change places
    np.testing.assert_allclose(
        wkd_feature(swapped, teacher, mean_weight=1, grid=1)["loss"], [0, 0], atol=1e-6
    )
    assert np.all(np.asarray(wkd_feature(swapped, teacher, mean_weight=1, grid=2)["loss"]) > 0.1)


def loss(method, student, teacher, progress=0.0):
    shapes = [{"stage3": (None, *x.shape[1:])} for x in (student, teacher)]
    method.build_for(*shapes)
    arguments = {"student": {"stage3": student}, "teacher": {"stage3": teacher}}
    return np.asarray(method(**arguments, batch=Batch(np.zeros(2), progress=progress)))


@pytest.mark.parametrize("projector", ["conv", "bottleneck"])
@pytest.mark.parametrize("sizes", [(6, 6), (8, 4), (4, 8), (7, 5)], ids=str)
def test_takes_maps_of_any_two_sizes(projector, sizes):
    student, teacher = (np.ones((2, size, size, 3), "float32") for size in sizes)
    method = methods.get("wkd_feature", projector=projector, grid=2, hidden_channels=4)
    assert np.all(np.isfinite(loss(method, student, teacher)))


def test_the_loss_falls_at_the_end():
    student, teacher = np.random.default_rng(0).normal(size=(2, 2, 4, 4, 3)).astype("float32")
    method = methods.get("wkd_feature", decay_start=0.5)
    full = loss(method, student, teacher)
    np.testing.assert_allclose(loss(method, student, teacher, 0.75), full / 2, rtol=1e-4)
    assert method.needs_progress
    assert not methods.get("wkd_feature", decay_start=1).needs_progress


def test_refuses_windows_of_one_place():
    maps = np.ones((2, 4, 4, 3), "float32")
    with pytest.raises(
        ValueError, match="wkd_feature: grid is 4 on maps of 4x4 places; expected w"
    ):
        loss(methods.get("wkd_feature", grid=4), maps, maps)
    with pytest.raises(ValueError, match="projector is 'dense'; expected one of"):
        methods.get("wkd_feature", projector="dense")
