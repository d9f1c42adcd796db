"""The zoo: each architecture is pinned by its trainable parameters, its taps and its behaviour."""

import functools
import math
import subprocess
import sys

import keras
import numpy as np
import pytest

from kd_keras import models

# Trainable parameters of the literature's reference models: 100 classes, 32 x 32 x 3.
PARAMETERS = {
    "resnet8": 83_892,
    "resnet14": 181_108,
    "resnet20": 278_324,
    "resnet32": 472_756,
    "resnet44": 667_188,
    "resnet56": 861_620,
    "resnet110": 1_736_564,
    "resnet8x4": 1_233_540,
    "resnet32x4": 7_433_860,
    "resnet18": 11_220_132,
    "resnet34": 21_328_292,
    "wrn_16_1": 180_916,
    "wrn_16_2": 703_284,
    "wrn_40_1": 569_780,
    "wrn_40_2": 2_255_156,
    "vgg8": 3_965_028,
    "vgg13": 9_462_180,
    "mobilenetv2": 812_836,
    "shufflenetv1": 949_258,
    "shufflenetv2": 1_355_528,
}
PLAIN_PARAMETERS = {"plain_cnn12": 196_244, "plain_cnn4": 36_584}  # 200 classes

# The stages' (size, channels) at 32 x 32 pixels, and the width of `pooled`.
NARROW = ([(32, 16), (16, 32), (8, 64)], 64)
WIDE = ([(32, 64), (16, 128), (8, 256)], 256)
VGG = ([(32, 64), (16, 128), (8, 256), (4, 512), (4, 512)], 512)
IMAGENET = ([(32, 64), (16, 128), (8, 256), (4, 512)], 512)
# Of most families the models that the suite runs; its others have more blocks, or other widths.
# ShuffleNets, which take longest to build, run with the extended tests.
IN_THE_SUITE = {
    *("resnet8", "resnet8x4", "resnet18", "wrn_16_2", "vgg8", "mobilenetv2"),
    *("plain_cnn12", "plain_cnn4"),
}
SHAPES = {
    **{f"resnet{depth}": NARROW for depth in (8, 14, 20, 32, 44, 56, 110)},
    **{"resnet8x4": WIDE, "resnet32x4": WIDE, "resnet18": IMAGENET, "resnet34": IMAGENET},
    **{"wrn_16_1": NARROW, "wrn_40_1": NARROW, "vgg8": VGG, "vgg13": VGG},
    "wrn_16_2": ([(32, 32), (16, 64), (8, 128)], 128),
    "wrn_40_2": ([(32, 32), (16, 64), (8, 128)], 128),
    "mobilenetv2": ([(16, 12), (8, 16), (4, 48), (2, 160)], 1280),
    "shufflenetv1": ([(16, 240), (8, 480), (4, 960)], 960),
    "shufflenetv2": ([(16, 116), (8, 232), (4, 464)], 1024),
    "plain_cnn12": ([(32, 10), (16, 14), (8, 18), (4, 22), (2, 100)], 512),
    "plain_cnn4": ([(32, 16), (16, 32), (8, 64)], 64),
}


def every_model(names=SHAPES, *, in_the_suite=IN_THE_SUITE):
    """Each of them for `parametrize`; those outside `in_the_suite` are marked `extended`."""
    extended = pytest.mark.extended
    return [pytest.param(name, marks=[] if name in in_the_suite else extended) for name in names]


@functools.cache
def model(name):
    num_classes = 200 if name in PLAIN_PARAMETERS else 100
    return models.get(name, num_classes=num_classes, input_shape=(32, 32, 3))


def trainable(built):
    return sum(math.prod(weight.shape) for weight in built.trainable_weights)


def pixels(seed, shape):
    return np.random.default_rng(seed).integers(0, 256, shape).astype("float32")


@pytest.mark.parametrize("name", every_model())
def test_trainable_parameters_equal_the_reference(name):
    assert trainable(model(name)) == (PARAMETERS | PLAIN_PARAMETERS)[name]


def test_every_name_is_pinned_and_described():
    assert set(models.names()) == set(PARAMETERS | PLAIN_PARAMETERS) == set(SHAPES)
    for name in models.names():
        line = models.describe(name)
        assert line
        assert "\n" not in line


@pytest.mark.parametrize("name", every_model())
def test_taps_have_their_shapes(name):
    stages, width = SHAPES[name]
    built = model(name)
    assert built.name == name
    for stage, (size, channels) in enumerate(stages, start=1):
        for tap in (f"stage{stage}", f"stage{stage}_preact"):
            assert built.get_layer(tap).output.shape == (None, size, size, channels)
    with pytest.raises(ValueError, match="No such layer"):
        built.get_layer(f"stage{len(stages) + 1}")
    assert built.get_layer("pooled").output.shape == (None, width)
    assert built.get_layer("logits") is built.layers[-1]


@pytest.mark.parametrize(
    "name",
    ["resnet8x4", "resnet18", "wrn_16_2", "vgg8", "shufflenetv1", "shufflenetv2", "plain_cnn12"],
)
def test_a_stage_is_its_preactivation_after_relu(name):
    built = models.get(name, num_classes=10, input_shape=(16, 16, 3), width=0.25)
    stages = [f"stage{stage}" for stage in range(1, len(SHAPES[name][0]) + 1)]
    taps = [[built.get_layer(f"{s}{suffix}").output for suffix in ("", "_preact")] for s in stages]
    results = keras.Model(built.input, taps)(pixels(1, (2, 16, 16, 3)))
    for stage, (after, before) in zip(stages, results, strict=True):
        assert np.min(before) < 0, stage
        np.testing.assert_array_equal(after, np.maximum(before, 0), err_msg=stage)


FAMILIES = [
    *("resnet14", "resnet18", "wrn_16_2", "vgg8", "mobilenetv2", "shufflenetv1", "shufflenetv2"),
    *("plain_cnn12", "plain_cnn4"),
]


@pytest.mark.parametrize("name", every_model(FAMILIES, in_the_suite=("vgg8", "resnet14")))
def test_one_step_moves_every_weight(name):
    keras.utils.set_random_seed(0)
    built = models.get(name, num_classes=4, input_shape=(16, 16, 3), width=0.5)
    # A bias before a batch norm has no effect, hence no gradient.
    idle = ("_conv/bias",) if name.startswith("vgg") else ()
    before = [(weight.path, keras.ops.copy(weight)) for weight in built.trainable_weights]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    built.compile(keras.optimizers.SGD(0.1), loss, run_eagerly=True)
    built.train_on_batch(pixels(0, (8, 16, 16, 3)), np.arange(8) % 4)
    for (path, old), weight in zip(before, built.trainable_weights, strict=True):
        moved = float(keras.ops.max(keras.ops.abs(weight - old)))
        assert path.endswith(idle or ("\n",)) or moved > 0, path


def test_the_bottlenecks_of_mobilenet_are_linear():
    built = models.get("mobilenetv2", num_classes=10, input_shape=(16, 16, 3))
    taps = [built.get_layer(f"stage2{suffix}").output for suffix in ("", "_preact")]
    after, before = keras.Model(built.input, taps)(pixels(0, (2, 16, 16, 3)))
    assert np.min(before) < 0
    np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize("name", every_model())
def test_logits_are_float32_for_grey_images_under_any_policy(name):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        built = models.get(name, num_classes=7, input_shape=(16, 16, 1), width=0.5)
    finally:
        keras.config.set_dtype_policy("float32")
    logits = keras.ops.convert_to_numpy(built(pixels(0, (2, 16, 16, 1)), training=False))
    assert (logits.shape, logits.dtype) == ((2, 7), np.float32)
    assert np.isfinite(logits).all()
    assert logits.std() > 0
    assert {layer.dtype_policy.name for layer in built.layers} == {"float32"}


def test_normalisation_is_inside():
    built = model("resnet8")
    images = np.linspace(0, 255, 32 * 32 * 3, dtype="float32").reshape(1, 32, 32, 3)
    inside = keras.Model(built.input, built.get_layer("pixels").output)(images)
    np.testing.assert_allclose(inside, images / 127.5 - 1, atol=1e-6)
    assert (built.input.name, built.input.dtype) == ("images", "float32")


def test_width_multiplies_every_layer_and_stem_stride_shrinks_every_stage():
    built = models.get(
        "resnet20", num_classes=100, input_shape=(32, 32, 3), width=2.0, stem_stride=2
    )
    assert built.get_layer("stage1").output.shape == (None, 16, 16, 32)
    assert built.get_layer("stage3").output.shape == (None, 4, 4, 128)
    assert models.get("resnet8", num_classes=2, input_shape=(32, 32, 3), width=0.01)


@pytest.mark.parametrize("name", every_model())
def test_a_stem_stride_of_two_at_twice_the_size_keeps_the_last_stage(name):
    stages, _ = SHAPES[name]
    built = models.get(name, num_classes=3, input_shape=(64, 64, 3), width=0.1, stem_stride=2)
    size = stages[-1][0]
    assert built.get_layer(f"stage{len(stages)}").output.shape[1:3] == (size, size)


def test_vgg_pools_once_more_at_64_pixels():
    built = models.get("vgg8", num_classes=3, input_shape=(64, 64, 3), width=0.1)
    assert [built.get_layer(f"stage{stage}").output.shape[1] for stage in (4, 5)] == [8, 4]


@pytest.mark.slow
def test_saved_models_open_without_this_package(tmp_path):
    names = ("resnet8", "mobilenetv2", "shufflenetv1", "shufflenetv2")
    images = pixels(3, (2, 16, 16, 3))
    for name in names:
        built = models.get(name, num_classes=3, input_shape=(16, 16, 3), width=0.1)
        built.save(tmp_path / f"{name}.keras")
        np.savez(tmp_path / f"{name}.npz", images=images, logits=built(images, training=False))
    code = (
        "import sys, keras, numpy\n"
        f"for name in {names}:\n"
        "    model, io = keras.models.load_model(name + '.keras'), numpy.load(name + '.npz')\n"
        "    got = model(io['images'], training=False)\n"
        "    numpy.testing.assert_allclose(got, io['logits'], atol=1e-6)\n"
        "assert not any(name.startswith('kd_keras') for name in sys.modules)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", every_model(["resnet8", "shufflenetv1"], in_the_suite=["resnet8"]))
def test_the_same_seed_gives_the_same_weights_and_names(name):
    built = []
    for _ in range(2):
        keras.utils.set_random_seed(4)
        built.append(models.get(name, num_classes=3, input_shape=(8, 8, 3), width=0.1))
    one, other = built
    assert [weight.path for weight in one.weights] == [weight.path for weight in other.weights]
    for weight, other_weight in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, other_weight)


def test_names_import_no_keras():
    code = (
        "import sys\nfrom kd_keras import models\n"
        "assert 'resnet20' in models.names()\nmodels.describe('resnet20')\n"
        "sys.exit(', '.join({'keras', 'tensorflow', 'numpy'} & set(sys.modules)) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("name", "knobs", "message"),
    [
        ("resnet21", {}, r"model is 'resnet21'; expected one of: .*Did you mean 'resnet"),
        ("resnet8", {"widht": 2}, r"knob of resnet8 is 'widht'.*Did you mean 'width'\?"),
        ("resnet8", {"width": 0}, r"width is 0; expected a finite number > 0"),
        ("resnet8", {"stem_stride": 0}, r"stem_stride is 0; expected a whole number >= 1"),
        ("resnet8", {"num_classes": 0}, r"num_classes is 0; expected a whole number >= 1"),
        ("resnet8", {"input_shape": (3, 32, 32)}, r"input_shape is \(3, 32, 32\); expected"),
        ("resnet8", {"input_shape": (32, 32)}, r"input_shape is \(32, 32\); expected"),
        ("resnet8", {"input_shape": (None, None, 3)}, r"height of the images is None"),
        ("mobilenetv2", {"input_shape": (32, 8, 3)}, r"width of the images is 8; .*>= 16.*larger"),
        ("app:MobileNetV2", {"width": 2.0}, r"knob of app:MobileNetV2 is 'width'.*: weights"),
    ],
)
def test_bad_arguments_are_refused_with_a_message(name, knobs, message):
    with pytest.raises(ValueError, match=message):
        models.get(name, **{"num_classes": 10, "input_shape": (32, 32, 3), **knobs})


@pytest.mark.parametrize("knob", ["name", "input_shape", "num_classes"])
def test_what_the_data_decide_is_no_knob(knob):
    with pytest.raises(ValueError, match=f"a knob of resnet8 is '{knob}'; expected one of"):
        models.check_knobs("resnet8", {knob: 3})


@pytest.mark.parametrize("width", [1e9, 90])
def test_a_model_that_fills_the_memory_is_not_built(width):
    with pytest.raises(
        ValueError, match=r"width (is|90 has about 637,\S+ parameters; expected at)"
    ):
        models.get("resnet8", num_classes=10, input_shape=(8, 8, 3), width=width)
