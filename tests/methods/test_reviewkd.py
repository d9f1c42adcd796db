import keras
import numpy as np
import pytest

from kd_keras import methods
from kd_keras.methods.base import Batch
from kd_keras.methods.reviewkd import Fusion, nearest, reviewkd


def features(arrays, whose, config):
    return [arrays[f"{whose}_feature_{i}"] for i in range(config["num_layers"])]


def golden_loss(arrays, config):
    student, teacher = (features(arrays, whose, config) for whose in ("student", "teacher"))
    return reviewkd(student, teacher, levels=config["levels"])


def fusion_with(arrays, prefix, student, teacher):
    """A Fusion, and what to put into its variables."""
    fusion = Fusion(
        tuple(teacher.shape[1:]),
        channels=arrays[f"{prefix}_conv1_kernel"].shape[-1],
        mixes=f"{prefix}_att_kernel" in arrays,
    )
    fusion.build(tuple(student.shape))
    state = []
    for i, part in enumerate((fusion.reduce, fusion.expand), start=1):
        convolution, norm = part.layers
        state += [
            (convolution.kernel, arrays[f"{prefix}_conv{i}_kernel"]),
            (norm.gamma, arrays[f"{prefix}_bn{i}_gamma"]),
            (norm.beta, arrays[f"{prefix}_bn{i}_beta"]),
        ]
    if fusion.mixes:
        state += [
            (fusion.attention.kernel, arrays[f"{prefix}_att_kernel"]),
            (fusion.attention.bias, arrays[f"{prefix}_att_bias"]),
        ]
    return fusion, state


def golden_module(arrays, config):
    student, teacher = (features(arrays, whose, config)[::-1] for whose in ("student", "teacher"))
    fused, deeper = [], None
    for i, (s, t) in enumerate(zip(student, teacher, strict=True)):
        fusion, state = fusion_with(arrays, f"abf_{i}", s, t)
        with keras.StatelessScope(state_mapping=state):
            result, deeper = fusion(s, deeper, training=True)
        fused.append(result)
    return reviewkd(fused, teacher)


GOLDENS = {"reviewkd_hcl": golden_loss, "reviewkd_abf": golden_module}


def test_equals_the_levels_by_hand():
    # Two places differ by +1 and -1 of four: mean square 1/2 at full size; pooled to 1x1, zero.
    student = np.array([1.0, -1.0, 0.0, 0.0], "float32").reshape(1, 2, 2, 1)
    zeros = np.zeros_like(student)
    np.testing.assert_allclose(reviewkd([student], [zeros])["loss"], [0.5 / 1.5])
    # All four by 1: every level gives 1.
    np.testing.assert_allclose(reviewkd([zeros + 1], [zeros])["loss"], [1.0])
    np.testing.assert_array_equal(reviewkd([student], [student])["loss"], [0.0])


def test_nearest_takes_the_row_at_the_floor():
    rows = np.arange(3, dtype="float32").reshape(1, 3, 1, 1)
    np.testing.assert_array_equal(np.ravel(nearest(rows, (5, 1))), [0, 0, 1, 1, 2])
    np.testing.assert_array_equal(np.ravel(nearest(rows, (2, 1))), [0, 1])


SHAPES = (
    {"stage1": (6, 6, 4), "stage2": (3, 3, 5), "pooled": (6,)},
    {"stage1_preact": (5, 5, 3), "stage2_preact": (3, 3, 5), "pooled": (7,)},
)


def outputs(batch_size):
    rng = np.random.default_rng(0)
    return [
        {t: rng.normal(size=(batch_size, *s)).astype("float16") for t, s in shapes.items()}
        for shapes in SHAPES
    ]


def built():
    method = methods.get(
        "reviewkd", max_channels=4, student_taps=tuple(SHAPES[0]), teacher_taps=tuple(SHAPES[1])
    )
    method.build_for(*({t: (None, *s) for t, s in shapes.items()} for shapes in SHAPES))
    return method


def test_teaches_student_and_fusions_in_float16(teaches):
    method = built()
    teaches(method, *outputs(3), Batch(labels=np.zeros(3, "int32")))
    assert len(method.trainable_variables) == 3 * 6 + 2 * 2
    assert method.fusions[0].channels == 4


def test_is_finite_for_one_example(loss_and_gradients):
    loss, gradients = loss_and_gradients(built(), *outputs(1), Batch(labels=np.zeros(1, "int32")))
    assert loss.shape == (1,)
    assert all(np.all(np.isfinite(g)) for g in (loss, *gradients.values()))


def test_refuses_unpaired_taps():
    with pytest.raises(ValueError, match=r"reviewkd: the student's taps are .* as many of each"):
        methods.get("reviewkd", student_taps="stage1+pooled")
