"""Validation images with the teacher's soft targets beside the student's answer."""

import base64
import io
import math
import re
from typing import Any

import numpy as np

from kd_keras.results.metrics import multi_label
from kd_keras.results.page.page_elements import Bars, Picture, Pictures, Section, Text
from kd_keras.results.report import samples
from kd_keras.results.report.finished_run import FinishedRun

_TOP = 3  # classes a model
_SMALLEST, _LARGEST = 64, 160  # pixels of a side in the page
_NOTES = {
    "gained": "gained by distillation",
    "lost": "lost by distillation",
    "wrong": "wrong for both",
    "right": "",
}


def section(run: FinishedRun, *, is_included: bool) -> Section:
    """Up to twenty images; says why there are none."""
    title = "Soft targets, image by image"
    stored_images = samples.load(run.folder) if is_included else None
    logits = run.scores(run.student)
    if stored_images is None or logits is None or run.labels is None:
        reason = (
            "an earlier version made it" if is_included else "the report was made with --no-images"
        )
        return Section("images", title, [Text(f"There are no images in this report: {reason}.")])
    rows, images = stored_images
    temperature = _temperature(run)
    models = (
        {run.student: 1.0} if run.teacher is None else {run.teacher: temperature, run.student: 1.0}
    )
    pictures = [
        Picture(
            png(image),
            _truth(run, int(row)),
            [b for phase, t in models.items() if (b := _bars(run, phase, int(row), t))],
            _note(run, int(row)),
        )
        for row, image in zip(rows, images, strict=True)
    ]
    temperature_note = (
        f", softened by the method's temperature {temperature:g}" if temperature != 1 else ""
    )
    first_images = "that distillation gained and lost" if run.alone else "where the models differ"
    caption = (
        f"Images of the validation set; those {first_images} come first. {_ticks(run)}Bars are the "
        f"{_TOP} likeliest classes: what the teacher taught{temperature_note}, and what the "
        "student answers."
    )
    return Section("images", title, [Pictures(pictures, caption)])


def _truth(run: FinishedRun, row: int) -> str:
    """The class of an image, or its classes."""
    label: Any = None if run.labels is None else run.labels[row]
    if run.multi_label:
        classes = [run.class_name(int(index)) for index in np.flatnonzero(label)]
        return ", ".join(classes) or "no class"
    return run.class_name(int(label))


def _ticks(run: FinishedRun) -> str:
    return "A tick: right for every class. " if run.multi_label else ""


def png(image: np.ndarray) -> str:
    """A data: URI of a uint8 (H, W, C) image, C 1 or 3; small ones are enlarged, large reduced."""
    from PIL import Image

    height, width, channels = image.shape
    picture = Image.fromarray(image[..., 0] if channels == 1 else image)
    factor = max(1, math.ceil(_SMALLEST / min(height, width)))
    picture = picture.resize((width * factor, height * factor), Image.Resampling.NEAREST)
    picture.thumbnail((_LARGEST, _LARGEST))
    file = io.BytesIO()
    picture.save(file, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _bars(run: FinishedRun, phase: str, row: int, temperature: float) -> Bars | None:
    logits = run.scores(phase)
    if logits is None:
        return None
    scores = logits[row].astype(np.float64) / temperature
    best_labels = np.argsort(-scores, kind="stable")[:_TOP]
    if run.multi_label:
        shares = np.exp(-np.logaddexp(0, -scores))
        answers = multi_label.decisions(logits[row])
        is_right = run.labels is not None and bool((answers == run.labels[row]).all())
    else:
        shares = np.exp(scores - scores.max())
        shares /= shares.sum()
        is_right = run.labels is not None and int(best_labels[0]) == int(run.labels[row])
    shares_by_name = {run.class_name(int(label)): float(shares[label]) for label in best_labels}
    return Bars(run.name(phase), shares_by_name, "✓" if is_right else "✗")


def _note(run: FinishedRun, row: int) -> str:
    student_classes = run.predictions(run.student)
    baseline_classes = None if run.alone is None else run.predictions(run.alone)
    if student_classes is None or run.labels is None:
        return ""
    one_row = slice(row, row + 1)
    outcomes = samples.outcomes_of(
        student_classes[one_row],
        None if baseline_classes is None else baseline_classes[one_row],
        run.labels[one_row],
    )
    return (
        _NOTES[str(outcomes[0])]
        if baseline_classes is not None
        else ""
        if outcomes[0] == "right"
        else "wrong"
    )


def _temperature(run: FinishedRun) -> float:
    """The temperature that the student's method was given; 1 if the recipe names none."""
    methods = run.results[run.student].get("methods") or run.recipe.get("method") or ()
    match = re.search(r"temperature=([\d.]+)", ",".join(methods))
    return float(match[1]) if match else 1.0
