"""A student of an ONNX teacher: the file, its cache by `kdk cache`, the training by `kdk train`."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from kd_keras import data
from kd_keras.cli import kdk
from kd_keras.data.augmentation import augment
from kd_keras.results.terminal import paths
from kd_keras.teacher_cache.reader import Cache

onnx = pytest.importorskip("onnx", reason="the extra 'onnx' is not installed")
pytest.importorskip("onnxruntime", reason="the extra 'onnx' is not installed")

VIEWS, CLASSES = 2, 10


@pytest.fixture
def weights():
    """A matrix from the 64 pixels of a digit to its classes, and what is added."""
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(64, CLASSES)).astype(np.float32)
    return matrix, rng.normal(size=CLASSES).astype(np.float32)


def by_hand(images, weights):
    """Pixels to -1..1, then half of that, then the matrix: (B, 8, 8, 1) uint8 to (B, classes)."""
    pixels = (images.astype(np.float64) / 127.5 - 1).reshape(len(images), 64)
    return pixels * 0.5 @ weights[0] + weights[1]


@pytest.fixture
def onnx_file(tmp_path, weights):
    """write(name) makes the classifier: channels first, with a scaling of pixels inside."""

    def write(name="teacher.onnx", *, batch="batch", classes=CLASSES, outside=False, change=0.0):
        helper, kinds = onnx.helper, onnx.TensorProto
        matrix, added = (array[..., :classes] for array in weights)
        constants = {"half": np.float32(0.5), "matrix": matrix + change, "added": added}
        graph = helper.make_graph(
            [
                helper.make_node("Mul", ["images", "half"], ["scaled"]),
                helper.make_node("Flatten", ["scaled"], ["flat"]),
                helper.make_node("Gemm", ["flat", "matrix", "added"], ["scores"]),
            ],
            "teacher",
            [helper.make_tensor_value_info("images", kinds.FLOAT, [batch, 1, 8, 8])],
            [helper.make_tensor_value_info("scores", kinds.FLOAT, [batch, classes])],
            [
                onnx.numpy_helper.from_array(np.asarray(v, np.float32), n)
                for n, v in constants.items()
            ],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        path = tmp_path / name
        (tmp_path / f"{name}.data").unlink(missing_ok=True)
        options = {"save_as_external_data": True, "location": f"{name}.data", "size_threshold": 64}
        onnx.save(model, str(path), **(options if outside else {}))
        return path

    return write


@pytest.fixture
def invoke(tmp_path, monkeypatch, one_server, no_report, no_timing):
    monkeypatch.setenv("KD_KERAS_CACHE", str(tmp_path / "stores"))
    monkeypatch.chdir(tmp_path)
    return lambda *args: CliRunner().invoke(kdk, [*map(str, args)])


def cached(invoke, path, *more):
    options = ("--recipe", "quickstart", "--views", VIEWS, "--teacher", path)
    return invoke("cache", *options, "--teacher-preprocess", "-1..1", *more)


def test_a_student_learns_from_what_an_onnx_file_says(invoke, onnx_file, weights, tmp_path):
    rows = tmp_path / "rows"
    output = cached(invoke, onnx_file(), "--out", rows, "--cache-dtype", "float32", "--verify")
    assert output.exit_code == 0, output.output
    assert "2 views of 1,438 images, 0.12 MB" in output.output
    assert "verified: a sample computed again differs by" in output.output

    digits, cache = data.load("digits"), Cache(rows)
    split, ids = digits.train, digits.train.ids
    right = []
    for view in range(VIEWS):
        crops = augment(split.images, ids, ids, view_seed=0, view=view, policy=digits.augment)
        expected = by_hand(crops, weights)
        np.testing.assert_allclose(cache(ids, view)["logits"], expected, rtol=1e-4, atol=1e-5)
        right.append(np.mean(np.argmax(expected, axis=1) == split.labels))

    options = ("--recipe", "quickstart", "--views", VIEWS, "--teacher", f"cache:{rows}")
    small = ("--student", "plain_cnn4:width=0.5", "--epochs", 2, "--batch-size", 256)
    places = ("--run", tmp_path / "run", "--export-dir", tmp_path / "out")
    output = invoke("train", *options, *small, *places, "--allow-weak-teacher")
    assert output.exit_code == 0, output.output
    assert (
        f"teacher: the cache {paths.short_path_with_size(rows)}, 2 views; "
        f"{right[0]:.1%} top-1 on the first view" in output.output
    )
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["teacher"] is None
    assert results["teacher_cache"]["folder"] == str(rows)
    assert results["teacher_cache"]["train_top1"] == pytest.approx(right[0])
    assert results["student"]["agreement"] is None  # no teacher predicts the validation images


def test_a_file_of_a_fixed_batch_and_outside_weights_gives_the_same_rows(
    invoke, onnx_file, tmp_path
):
    all_rows = []
    for name, form in (("a", {}), ("b", {"batch": 7}), ("c", {"outside": True})):
        output = cached(invoke, onnx_file(f"{name}.onnx", **form), "--out", tmp_path / name)
        assert output.exit_code == 0, output.output
        cache = Cache(tmp_path / name)
        all_rows.append(cache(cache.ids, 0)["logits"])
    for rows in all_rows[1:]:
        np.testing.assert_allclose(rows, all_rows[0], rtol=2e-3, atol=2e-3)


def test_a_student_learns_the_embedding_of_an_onnx_tower(invoke, onnx_file, weights, tmp_path):
    tower, rows = onnx_file("tower.onnx", classes=7), tmp_path / "rows"
    options = ("--recipe", "quickstart", "--views", VIEWS)
    small = ("--student", "plain_cnn4:width=0.5", "--epochs", 1, "--batch-size", 256)
    places = ("--run", tmp_path / "run", "--export-dir", tmp_path / "out")
    train = ("train", *options, *small, *places)
    output = invoke(*train, "--teacher", tower, "--method", "embed:teacher_tap=output")
    assert output.exit_code == 2
    assert "--taps output" in output.stderr.splitlines()[1]

    precise = ("--cache-dtype", "float32", "--verify")
    output = cached(invoke, tower, "--out", rows, "--taps", "output", *precise)
    assert output.exit_code == 0, output.output
    digits, cache = data.load("digits"), Cache(rows)
    assert cache.shapes == {"pooled": (None, 7)}
    split, ids = digits.train, digits.train.ids
    crops = augment(split.images, ids, ids, view_seed=0, view=1, policy=digits.augment)
    expected = by_hand(crops, [array[..., :7] for array in weights])
    np.testing.assert_allclose(cache(ids, 1)["pooled"], expected, rtol=1e-4, atol=1e-5)
    output = invoke(*train, "--teacher", f"cache:{rows}", "--method", "embed")
    assert output.exit_code == 0, output.output
    history = json.loads((tmp_path / "run" / "student.json").read_text())["history"]
    assert len(history["embed"]) == 1


def test_weights_outside_of_the_file_tell_teachers_apart(invoke, onnx_file, tmp_path):
    rows = tmp_path / "rows"
    path = onnx_file(outside=True)
    graph = path.read_bytes()
    assert cached(invoke, path, "--out", rows).exit_code == 0
    assert onnx_file(outside=True, change=0.5).read_bytes() == graph
    output = cached(invoke, path, "--out", rows)
    assert output.exit_code == 2
    assert "holds a cache made with a different teacher" in output.stderr


def test_a_file_that_does_not_fit_is_refused_in_a_line(invoke, onnx_file, tmp_path):
    path = onnx_file()
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    for teacher, more, words in (
        (path, ("--image-size", "16", "--teacher-image-size", "16"), "does not take images"),
        (path, ("--taps", "pooled"), "an ONNX file gives its first output alone"),
        (
            path,
            ("--taps", "output"),
            "gives 10 numbers, the logits of so many classes",
        ),
        (path, ("--teacher", "b.keras"), "expected an ONNX file alone"),
        (tmp_path / "none.onnx", (), "none.onnx does not exist"),
        (broken, (), "cannot be opened as an ONNX model"),
    ):
        output = cached(invoke, teacher, "--out", tmp_path / "rows", *more)
        assert output.exit_code == 2, output.output
        (line,) = output.stderr.strip().splitlines()
        assert words in line
    assert not list(tmp_path.glob("rows/view*"))


def test_a_file_of_other_classes_is_refused_in_a_line(invoke, onnx_file, tmp_path):
    output = cached(invoke, onnx_file(classes=7), "--out", tmp_path / "rows")
    assert output.exit_code == 2
    (line,) = output.stderr.strip().splitlines()
    assert "the teacher's logits are (7,) for an image; expected (10,)" in line
