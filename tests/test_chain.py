"""Runs of more than one teacher or learner; what measuring a model is, `test_train.py` shows."""

import json

import keras
import numpy as np
import pytest

from kd_keras import data, models
from kd_keras.distill.checks import pair_warnings
from kd_keras.job import train
from kd_keras.job.recipe import recipe_files
from kd_keras.job.training import fitting
from kd_keras.results.evaluation import measure_model
from kd_keras.results.terminal.screen import Screen

pytestmark = pytest.mark.usefixtures("one_server", "no_report")
TINY = {
    "dataset": "digits",
    "epochs": 1,
    "teacher_epochs": 1,
    "batch_size": 512,
    "learning_rate": 0.01,
    "precision": "float32",
    "allow_weak_teacher": True,
}


@pytest.fixture(autouse=True)
def events(monkeypatch, tmp_path_factory):
    """What was trained and measured, in order; measuring is evaluating only."""
    monkeypatch.setenv("KD_KERAS_CACHE", str(tmp_path_factory.getbasetemp() / "chain-cache"))
    list_of_events, fit = [], fitting.fit

    def trained(distillers, *arguments, **more):
        list_of_events.append(f"trained {' and '.join(distillers)}")
        return fit(distillers, *arguments, **more)

    def measured(model, data, folder, logits, serve):
        list_of_events.append(f"measured {folder.name if folder else 'a file'}")
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
        top1 = measure_model.accuracy(logits, data.validation.labels)
        export = {"path": str(folder), "megabytes": 1.0}
        parameters = model.count_params()
        return {"top1": top1, "top5": 1.0, "parameters": parameters, "export": export}

    monkeypatch.setattr(fitting, "fit", trained)
    monkeypatch.setattr(measure_model, "measure", measured)
    times = {"batch1": 1.0, "batch128": 1.0}
    monkeypatch.setattr(measure_model, "milliseconds", lambda model, data: times)
    return list_of_events


def run(folder, **fields):
    recipe = recipe_files.Recipe(**{**TINY, **fields})
    export_dir = str(folder.parent / "exports")
    return train.run(recipe, run=str(folder), export_dir=export_dir, screen=Screen())


@pytest.fixture
def files(tmp_path):
    """Paths of four classifiers of the digits, untrained, a dense layer each."""
    paths = []
    for name in ("one", "two", "three", "four"):
        model = keras.Sequential(
            [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)], name=name
        )
        model.save(tmp_path / f"{name}.keras")
        paths.append(str(tmp_path / f"{name}.keras"))
    return paths


@pytest.mark.slow
def test_a_chain_trains_each_by_the_one_before_and_redoes_nothing(tmp_path, files, events, capsys):
    folder = tmp_path / "chain"
    teacher, assistant, student, _ = files
    chain = {"teacher": teacher, "assistants": [assistant], "student": student, "generations": 2}
    results = run(folder, **chain)
    phases = ["assistant-1", "generation-1", "student"]
    ends = ["data", "comparisons", "verdict", "warnings"]
    assert list(results) == ["teacher", "baseline", *phases, *ends]
    roles = ["teacher", "assistant", "generation", "student"]
    assert [results[phase]["role"] for phase in ("teacher", *phases)] == roles
    assert events == ["measured a file"] + [
        f"{what} {name}"
        for phase in phases
        for what, name in (("trained", phase), ("measured", phase.replace("student", "chain")))
    ]
    output = capsys.readouterr().out
    assert f"assistant 1: {assistant}, taught by teacher\n" in output
    assert f"student: {student}, taught by generation 1\n" in output
    assert "student distilled, generation 2" in output
    assert all(0 <= results[phase]["agreement"] <= 1 for phase in phases)
    assert all(results[phase]["seconds"]["training"] > 0 for phase in phases)
    assert results["teacher"]["seconds"]["training"] is None
    # Killed while the student trained: nothing is left of it.
    for name in ("student.keras", "student.json", "results.json"):
        (folder / name).unlink()
    events.clear()
    again = run(folder, **chain)
    assert events == ["trained student", "measured chain"]
    for phase in ("teacher", "assistant-1", "generation-1"):
        assert again[phase] == results[phase]
    assert again["student"]["top1"] == pytest.approx(results["student"]["top1"], abs=0.05)
    # Killed between the student's training and its results: only those are missing.
    saved_phase = json.loads((folder / "student.json").read_text())
    (folder / "student.json").write_text(json.dumps({**saved_phase, "result": None}))
    (folder / "results.json").unlink()
    events.clear()
    last = run(folder, **chain)
    assert events == ["measured chain"]
    assert last["student"]["top1"] == again["student"]["top1"]


def test_generations_of_one_run_start_from_weights_of_their_own(tmp_path, monkeypatch):
    starts = []

    def stop(distillers, *arguments, **more):
        ((phase, distiller),) = distillers.items()
        starts.append(distiller.student.get_weights()[0])
        return {phase: {"agreement": [0.0]}}

    monkeypatch.setattr(fitting, "fit", stop)
    network = {"num_classes": 10, "input_shape": (8, 8, 1), "width": 0.25}
    models.get("plain_cnn4", **network).save(tmp_path / "teacher.keras")
    recipe = {"teacher": str(tmp_path / "teacher.keras"), "student": "plain_cnn4:width=0.25"}
    recipe["generations"] = 3
    run(tmp_path / "run", **recipe, baseline=True)
    alone, first, *other_starts = starts
    np.testing.assert_array_equal(alone, first)
    assert len({weights.tobytes() for weights in (first, *other_starts)}) == 3


def test_several_teachers_teach_by_their_mean(tmp_path, files, events):
    recipe = {"teacher": [*files[:2], "plain_cnn4:width=0.25"], "ensemble_weights": [2, 1, 0]}
    results = run(tmp_path / "run", **recipe, student=files[2], optimizer="dot")
    assert list(results)[:4] == ["teacher-1", "teacher-2", "teacher-3", "teacher"]
    assert [what for what in events if what.startswith("trained")] == [
        "trained teacher-3",
        "trained student",
    ]
    one, two = (keras.models.load_model(path) for path in files[:2])
    digits = data.load("digits").validation
    images = digits.images_at(np.arange(len(digits))).astype("float32")
    mean = 2 * np.asarray(one(images)) + np.asarray(two(images))
    expected = np.mean(mean.argmax(axis=1) == digits.labels)
    assert results["teacher"]["top1"] == pytest.approx(expected, abs=1e-6)


def test_models_are_scored_once_and_exports_are_not_replaced(tmp_path, files, monkeypatch):
    counted, scores = [], measure_model._all_scores
    monkeypatch.setattr(
        measure_model,
        "_all_scores",
        lambda predict, name, split: counted.append(name) or scores(predict, name, split),
    )
    recipe = recipe_files.Recipe(**TINY, teacher=files[0], student=files[1])
    train.run(recipe, run=str(tmp_path / "a" / "run"), export_dir=str(tmp_path / "exports"))
    assert counted == ["one", "two"]
    with pytest.raises(ValueError, match=r"exports/run holds the student of the run .*a/run"):
        train.run(recipe, run=str(tmp_path / "b" / "run"), export_dir=str(tmp_path / "exports"))
    assert not (tmp_path / "b" / "run").exists()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"method": "none", "assistants": ["resnet14"]}, r"assistants \(resnet14\) and the method"),
        ({"method": "uskd", "generations": 2}, r"2 generations and the method uskd; expected a"),
        ({"assistants": ["resnet15"]}, r"model is 'resnet15'.*Did you mean 'resnet"),
        ({"teacher": ["resnet8", "missing.keras"]}, r"no model at missing\.keras"),
        ({"method": "fitnet:tap=stage9", "generations": 2}, r"generation-1 \(res.*no tap 'stage9'"),
        ({"method": "fitnet", "teacher": ["resnet8", "resnet8"]}, r"near ones.*teacher_\d/stage2"),
        ({"optimizer": "dot", "precision": "mixed_float16"}, r"optimizer is dot and the precision"),
        ({"optimizer": "dot", "delta": 0.1}, r"momentum is 0.9 and delta 0.1; expected a sum"),
    ],
    ids=str,
)
def test_bad_input_is_reported_before_anything_is_written(tmp_path, fields, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        run(tmp_path / "bad", **fields)
    assert not (tmp_path / "bad").exists()


def test_dot_without_a_method_says_what_it_is(tmp_path, files, capsys):
    run(tmp_path / "plain", method="none", optimizer="dot", student=files[0])
    assert "warning: optimizer dot has one gradient without a method" in capsys.readouterr().err
    before, after = map(keras.models.load_model, (files[0], tmp_path / "plain" / "student.keras"))
    assert not np.array_equal(before.get_weights()[0], after.get_weights()[0])  # it trains


def test_a_student_larger_than_its_teacher_is_reported_once(tmp_path, capsys, recwarn):
    sizes = {"teacher": 0.25, "student": 0.5}
    for name, width in sizes.items():
        model = models.get("plain_cnn4", num_classes=10, input_shape=(8, 8, 1), width=width)
        model.save(tmp_path / f"{name}.keras")
    run(tmp_path / "run", **{name: str(tmp_path / f"{name}.keras") for name in sizes})
    lines = [line for line in capsys.readouterr().err.splitlines() if "parameters" in line]
    assert len(lines) == 1
    assert lines[0].startswith("warning: student has ")
    assert lines[0].endswith("(teacher); check that the two models are not exchanged")
    assert not [w for w in recwarn if issubclass(w.category, pair_warnings.ModelWarning)]
