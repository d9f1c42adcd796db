"""`kdk train --label-mode multi` on real files, and what is done with its run afterwards."""

import csv
import io
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from PIL import Image

from kd_keras import data
from kd_keras.cli import kdk
from kd_keras.distill.callbacks import stop_early
from kd_keras.distill.callbacks.checkpoint import Checkpoint
from kd_keras.job import train
from kd_keras.job.cache import make_cache
from kd_keras.job.checks import precheck
from kd_keras.job.compare_command.compare import compare
from kd_keras.job.export_command.export import export
from kd_keras.job.images import adjustment
from kd_keras.job.prediction.evaluate_model_file import evaluate
from kd_keras.job.prediction.predict import predict
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.results.metrics import multi_label
from kd_keras.results.run_files import score_files
from kd_keras.results.terminal.screen import Screen
from kd_keras.teacher_cache.reader import Cache

CLASSES = ("blue", "green", "red")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """160 images of 8x8 with a bright blue, green or red channel, or several, and their CSV."""
    folder = tmp_path_factory.mktemp("data") / "colours"
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = [["file", "labels"]]
    for number in range(160):
        has = rng.random(3) < 0.4
        pixels = rng.integers(0, 90, (8, 8, 3)) + 140 * has[::-1]
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png")
        rows.append([f"{number}.png", ";".join(np.array(CLASSES)[has])])
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder


@pytest.fixture(scope="module")
def finished(folder, recorder, tiny_recipe, own_cache, tmp_path_factory):
    """The folder of a finished run, its results, and its lines on the screen."""
    recipe = tiny_recipe(
        dataset=f"folder:{folder}",
        label_mode="multi",
        epochs=2,
        teacher_epochs=4,
        batch_size=16,
        val_fraction=0.3,
        baseline=True,
        timing=False,
        mixup=0.2,
    )
    path = tmp_path_factory.mktemp("runs") / "run"
    screen = recorder()
    exports = str(path.parent / "exports")
    return path, train.run(recipe, run=str(path), export_dir=exports, screen=screen), screen.lines


pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_server", "own_cache")]


def test_results_are_the_scores_of_the_saved_logits(finished):
    path, results, _ = finished
    labels = score_files.load_labels(path)
    assert labels.shape == (len(labels), 3)
    for phase in ("teacher", "baseline", "student"):
        expected = multi_label.measure(labels, score_files.load(path, phase))
        assert {name: results[phase][name] for name in expected} == pytest.approx(expected)
        assert not {"top1", "top5", "calibration"} & set(results[phase])
    history = json.loads((path / "student.json").read_text())["history"]
    assert history["val_map"][-1] == pytest.approx(results["student"]["map"])
    assert history["val_f1"][-1] == pytest.approx(results["student"]["f1"])
    assert "agreement" not in history
    assert 0 <= results["student"]["agreement"] <= 1
    assert results["data"]["label_mode"] == "multi"
    ours, others = (score_files.load(path, phase) for phase in ("student", "baseline"))
    mean, low, high = multi_label.difference(labels, ours, others, seed=0)
    (entry,) = [e for e in results["comparisons"] if e["phase"] == "student"]
    assert (entry["difference"], entry["low"], entry["high"]) == pytest.approx((mean, low, high))


def test_no_line_and_no_page_mentions_top_1(finished):
    path, _, lines = finished
    pages = [(path / name).read_text() for name in ("report.html", "results.json", "data.json")]
    for text in [*lines, *pages]:
        assert "top-1" not in text
        assert "top1" not in text
    page = pages[0]
    assert "mean average precision of" in page
    assert all(name in page for name in CLASSES)
    assert "Calibration" not in page


def test_it_is_predicted_with_a_threshold(finished, folder, tmp_path):
    path, _, _ = finished
    files = [folder / f"{number}.png" for number in range(20)]
    every = predict(path, files, threshold=0.0, top=None)
    assert all(sorted(one.classes) == list(CLASSES) for one in every)
    some = predict(path, files, top=None)
    for one, other in zip(every, some, strict=True):
        pairs = dict(zip(one.classes, one.probabilities, strict=True))
        assert other.classes == tuple(name for name in one.classes if pairs[name] >= 0.5)
    result = CliRunner().invoke(kdk, ["predict", str(path), str(folder), "--format", "csv"])
    rows = {row["file"]: row for row in csv.DictReader(io.StringIO(result.stdout))}
    assert len(rows) == 160
    for one in some:
        assert rows[str(one.file)]["classes"] == ";".join(one.classes)
    table = CliRunner().invoke(kdk, ["predict", str(path), str(files[0]), "--threshold", "1"])
    assert table.stdout.splitlines()[-1].split() == [str(files[0]), "none"]


def test_the_exports_give_sigmoids_in_their_own_programs(finished, tmp_path):
    path, results, _ = finished
    pytest.importorskip("onnxruntime")
    document = export(path, formats=["litert", "onnx"], quantize=["none", "int8"], out=tmp_path)
    assert len(document["files"]) == 4
    for name, entry in document["files"].items():
        least = 0.9 if "int8" in name else 1.0
        assert entry["agreement"] >= least, name
        assert entry["max_abs_difference"] < 0.05, name
        assert "top1" not in entry
    assert document["keras"]["map"] == pytest.approx(results["student"]["map"], abs=1e-6)
    tflite = tmp_path / "student.tflite"
    again = evaluate(tflite, dataset=results_dataset(path), timing=False, val_fraction=0.3)
    assert again.map == pytest.approx(results["student"]["map"], abs=1e-6)
    served = tf.saved_model.load(results["student"]["export"]["path"])
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    outputs = served.signatures["serving_default"](tf.constant(images))
    expected = 1 / (1 + np.exp(-outputs["logits"].numpy()))
    np.testing.assert_allclose(outputs["probabilities"], expected, rtol=1e-5)


def results_dataset(path):
    return json.loads((path / "data.json").read_text())["dataset"]


def test_it_is_evaluated_with_the_scores_of_each_class(finished, recorder, tmp_path):
    path, results, _ = finished
    screen = recorder()
    result = evaluate(
        path, teacher=path / "teacher.keras", timing=False, out=tmp_path / "e", screen=screen
    )
    assert result.map == pytest.approx(results["student"]["map"], abs=1e-6)
    assert result.teacher["map"] == pytest.approx(results["teacher"]["map"], abs=1e-6)
    assert [row.name for row in result.per_class] == list(CLASSES)
    assert (tmp_path / "e" / "per_class.csv").read_text().count("\n") == 4
    assert json.loads((tmp_path / "e" / "evaluation.json").read_text())["f1"] == result.f1


def test_runs_are_listed_and_compared_by_map(finished, folder, recorder, tmp_path):
    path, results, _ = finished
    listed = CliRunner().invoke(kdk, ["runs", str(path), "--json"])
    (run,) = json.loads(listed.stdout)
    assert run["students"][0]["map"] == results["student"]["map"]
    recipe = Recipe(**{**json.loads((path / "recipe.json").read_text()), "seed": 1})
    other = tmp_path / "other"
    options = {"run": str(other), "export_dir": str(tmp_path / "exports")}
    train.run(recipe.model_copy(update={"baseline": False, "epochs": 1}), **options)
    document = compare([path, other], html=tmp_path / "page.html")
    assert document["groups"][0]["map"] == pytest.approx(results["student"]["map"])
    (entry,) = document["differences"]
    assert entry["low"] <= entry["difference"] <= entry["high"]
    assert entry["pairs"][0]["p"] is None
    assert not any("top-1" in line for line in document["verdict"])
    assert "top-1" not in (tmp_path / "page.html").read_text()


def test_an_onnx_teacher_teaches_the_same_with_sigmoids_and_with_logits(
    folder, no_report, tmp_path
):
    pytest.importorskip("tf2onnx", reason="the extra 'onnx' is not installed")
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    maps = keras.layers.Conv2D(4, 3)(keras.layers.Rescaling(1 / 255)(inputs))
    logits = keras.layers.Dense(3)(keras.layers.Flatten()(maps))
    models = {
        "logits": keras.Model(inputs, logits),
        "sigmoids": keras.Model(inputs, keras.layers.Activation("sigmoid")(logits)),
    }
    examples = data.load(f"folder:{folder}", label_mode="multi", augment="none").train
    expected = models["logits"](examples.images_at(slice(None)).astype("float32")).numpy()
    options = {"dataset": f"folder:{folder}", "label_mode": "multi", "augment": "none", "views": 1}
    for name, model in models.items():
        file = tmp_path / f"{name}.onnx"
        model(np.zeros((1, 8, 8, 3), "float32"))  # Keras exports models that were called only
        model.export(file, format="onnx", verbose=False)
        cache = tmp_path / name
        recipe = Recipe(**options, teacher=str(file))
        make_cache.run(recipe, folder=cache, dtype="float32", screen=Screen(quiet=True))
        rows = Cache(cache)(examples.ids, 0)["logits"]
        np.testing.assert_allclose(rows, expected, atol=1e-4)
    small = {"student": "plain_cnn4:width=0.5", "epochs": 1, "batch_size": 32, "timing": False}
    recipe = Recipe(
        **options, **small, teacher=f"cache:{cache}", method=["kd"], allow_weak_teacher=True
    )
    places = {"run": str(tmp_path / "run"), "export_dir": str(tmp_path / "exports")}
    results = train.run(recipe, **places, screen=Screen(quiet=True))
    share = results["teacher_cache"]
    scores_of_rows = multi_label.mean_average_precision(examples.labels, expected)
    assert share["train_map"] == pytest.approx(scores_of_rows)


def test_a_training_stops_early_by_map_and_an_interrupted_one_ends_equal_to_the_bit(
    folder, recorder, interrupted_after, no_report, tmp_path
):
    recipe = Recipe(
        **{"dataset": f"folder:{folder}", "label_mode": "multi", "stop_early": 1, "epochs": 9},
        **{"student": "plain_cnn4:width=0.5", "teacher": "plain_cnn4", "teacher_epochs": 2},
        **{"batch_size": 32, "learning_rate": 0.03, "precision": "float32", "timing": False},
        **{"baseline": True, "allow_weak_teacher": True},
    )
    weights = []
    for name in ("whole", "parts"):
        places = {"run": str(tmp_path / name), "export_dir": str(tmp_path / "exports")}
        screen = recorder()
        if name == "parts":
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Checkpoint, "on_train_batch_end", interrupted_after("student", 6))
                with pytest.raises(KeyboardInterrupt):
                    train.run(recipe, **places, screen=recorder())
        results = train.run(recipe, **places, screen=screen)
        for phase in ("teacher", "student"):
            history = json.loads((tmp_path / name / f"{phase}.json").read_text())["history"]
            ended = results[phase]["stop_early"]
            decision = history[stop_early.MAP], history[stop_early.LOSS], 1
            assert ended["best_epoch"] == stop_early.decide(*decision).best + 1
            assert ended[stop_early.MAP] == max(history[stop_early.MAP])
            best = history["val_map"][ended["best_epoch"] - 1]
            assert results[phase]["map"] == pytest.approx(best)
        assert f"({ended[stop_early.MAP]:.1%} mAP on the held-out images)" in "\n".join(
            screen.lines
        )
        model = keras.models.load_model(tmp_path / name / "student.keras", compile=False)
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_default_method_is_replaced_by_kd():
    recipe = Recipe(dataset="folder:x", label_mode="multi").model_copy(
        update={"method": ("lskd:temperature=2",)}
    )
    recipe.model_fields_set.discard("method")
    adjusted = adjustment.adjust_recipe(recipe, num_images=900, side=32, num_classes=9)
    assert adjusted.method == ("kd",)
    (line, *_) = adjustment.describe_changes(recipe, adjusted, num_images=900, num_classes=9)
    assert (
        "kd instead of the recipe's lskd:temperature=2, which needs one class for each image"
        in line
    )


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"method": ["dkd"]}, r"methods \['dkd'\] compare softmaxes .* ab, at, cc, .* kd, "),
        ({"labels_per_class": 2}, "labels_per_class is 2, which goes by the one class"),
    ],
)
def test_settings_for_one_class_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        precheck.check_recipe(Recipe(dataset="folder:x", label_mode="multi", **fields))
