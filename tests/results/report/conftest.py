import json

import numpy as np
import pytest
from matplotlib.figure import Figure

from kd_keras import files
from kd_keras.data.stores import hashed_arrays
from kd_keras.data.stores.store import Split
from kd_keras.job.recipe.recipe_files import Recipe
from kd_keras.results import verdict
from kd_keras.results.metrics import agreement, calibration
from kd_keras.results.page import plots
from kd_keras.results.page.page_elements import Plot
from kd_keras.results.report import finished_run, samples
from kd_keras.results.run_files import run_data, score_files

IMAGES = 300
EXPORT = {"path": "saved_models/x", "max_abs_difference": 1e-6, "megabytes": 0.4}
TIMES = {"batch1": 1.0, "batch128": 0.05, "spread": {"batch1": 0.1, "batch128": 0.01}}


def logits(labels, classes, strength, seed):
    noise = np.random.default_rng(seed).normal(size=(len(labels), classes))
    return (noise + strength * np.eye(classes)[labels]).astype("float32")


def history(epochs, terms=("ce", "kd")):
    curve = np.linspace(0.4, 0.8, epochs).tolist()
    shares = {f"{term}_share": [1 / len(terms)] * epochs for term in terms}
    norms = {f"{term}_gradient_norm": [1.0 + i] * epochs for i, term in enumerate(terms)}
    values = dict.fromkeys(terms, curve[::-1])
    common = {"loss": curve[::-1], "val_loss": curve[::-1], "val_top1": curve}
    return {**common, **values, **shares, **norms, "agreement": curve, "learning_rate": curve}


def entry(role, top1, parameters, **more):
    facts = {"role": role, "top1": top1, "top5": 1.0, "parameters": parameters}
    facts |= {"export": EXPORT, "milliseconds_per_image": TIMES, "multiply_adds": 10 * parameters}
    return {**facts, "seconds": {"training": 9.0, "measuring": 1.0}, **more}


@pytest.fixture(scope="session")
def make_run():
    """make_run(folder, phases, …) writes the run folder that a training would leave."""

    def make(folder, phases=None, *, classes=10, epochs=4, teacher_cache=False, names=None):
        phases = phases or {
            "teacher": ("teacher", 4),
            "baseline": ("baseline", 2),
            "student": ("student", 3),
        }
        labels = np.random.default_rng(0).integers(0, classes, IMAGES)
        all_logits = {
            name: logits(labels, classes, s, i) for i, (name, (_, s)) in enumerate(phases.items())
        }
        results = {"teacher": None, "baseline": None}
        if teacher_cache:
            results["teacher_cache"] = {"folder": "rows", "train_top1": 0.9}
        folder.mkdir(parents=True)
        for name, (role, _) in phases.items():
            predicted = all_logits[name].argmax(axis=1)
            results[name] = entry(
                role, float(np.mean(predicted == labels)), 1000 if role == "teacher" else 100
            )
            results[name]["calibration"] = calibration.measure_calibration(all_logits[name], labels)
            if role != "teacher" and "teacher" in all_logits:
                results[name] |= agreement.measure_agreement(
                    all_logits[name], all_logits["teacher"], labels
                )
            if name.startswith("student-"):
                results[name] |= {
                    "spec": "resnet8",
                    "methods": [name.replace("student-", "kd:weight=0.")],
                }
            if name.startswith("baseline") and "student-1" in phases:
                results[name] |= {"spec": "resnet8", "methods": []}
            hashed_arrays.save(folder / f"{name}-predictions.npy", predicted)
            score_files.save(folder, name, all_logits[name])
            terms = ("ce", "kd") if role == "student" else ("ce",)
            saved = {"history": history(epochs, terms)}
            (folder / f"{name}.json").write_text(json.dumps(saved))
        results["data"] = {
            "summary": "some",
            "validated_on_holdout": False,
            "classes": classes,
            "train_images": 1000,
        }
        predicted = {name: all_logits[name].argmax(axis=1) for name in phases}
        results |= verdict.make_verdict(results, predicted.__getitem__, labels, seed=0)
        files.write_json(folder / "results.json", results)
        recipe = Recipe(dataset="digits", method=["kd:temperature=3,weight=0.5"], batch_size=100)
        files.write_json(folder / "recipe.json", recipe.model_dump())
        versions = {"versions": {"keras": "3.15"}, "precision": "float32", "data": "f"}
        files.write_json(folder / "provenance.json", versions)
        names = names or [f"class <{label}>" for label in range(classes)]
        facts = {"class_names": names, "image_shape": [8, 8, 1], "resize": "crop"}
        files.write_json(folder / run_data.NAME, {**facts, "fingerprint": "f", "dataset": "digits"})
        score_files.save_labels(folder, labels)
        pixels = np.random.default_rng(1).integers(0, 256, (IMAGES, 8, 8, 1), dtype="uint8")
        split = Split(pixels, labels.astype("int32"), np.arange(IMAGES))
        samples.keep(finished_run.read(folder), split)
        return folder

    return make


@pytest.fixture(scope="session")
def run_folder(make_run, tmp_path_factory):
    """A run of ten classes with teacher, student alone and student; not to be changed."""
    return make_run(tmp_path_factory.mktemp("runs") / "ten")


@pytest.fixture(scope="session")
def finished(run_folder):
    return finished_run.read(run_folder)


@pytest.fixture
def sketched(monkeypatch):
    """Figures are painted but not drawn, which takes most of the time; a dict of them by name."""
    figures = {}

    def plot(name, paint, *, caption, columns, rows, folder=None, wide=False, **size):
        figures[name] = Figure()
        paint(figures[name])
        assert all(len(row) == len(columns) for row in rows)
        return Plot(name, caption, "<svg/>", wide)

    monkeypatch.setattr(plots, "plot", plot)
    return figures
