"""Evaluates a model in any format on a labelled split: what `kdk evaluate` does."""

import re
from collections.abc import Sequence
from pathlib import Path

from kd_keras import check
from kd_keras.data import LABEL_MODES
from kd_keras.data.stores.store import Split
from kd_keras.job import output_paths
from kd_keras.job.prediction import (
    evaluation_data,
    model_argument,
    opened_model,
)
from kd_keras.job.prediction.evaluation_data import DataOptions
from kd_keras.job.prediction.evaluation_job import EvaluationJob
from kd_keras.job.prediction.opened_model import OpenedModel
from kd_keras.results.evaluation import (
    evaluation,
    evaluation_table,
    multi_label_evaluation,
)
from kd_keras.results.evaluation.evaluation import Evaluation
from kd_keras.results.evaluation.multi_label_evaluation import MultiLabelEvaluation
from kd_keras.results.terminal import paths
from kd_keras.results.terminal.screen import Screen

BATCH = 128
FOLDER = "evaluations"


def evaluate(
    model: str | Path,
    *,
    dataset: str | None = None,
    split: str = "validation",
    teacher: str | Path | None = None,
    out: str | Path | None = None,
    batch_size: int = BATCH,
    timing: bool = True,
    preprocess: str | None = None,
    teacher_preprocess: str | None = None,
    class_names: str | Path | Sequence[str] | None = None,
    data_dir: str | None = None,
    image_size: int | None = None,
    resize: str | None = None,
    val_fraction: float | None = None,
    imports: Sequence[str] = (),
    label_mode: str | None = None,
    write: bool = True,
    screen: Screen | None = None,
) -> Evaluation | MultiLabelEvaluation:
    """Measures a classifier on labelled images, in the program that runs its format.

    Args:
        model: a `.keras`, `.h5`, `.tflite` or `.onnx` file, a SavedModel folder, or the name or
            path of a finished run, which stands for its student.
        dataset: see `data.load`; None: that of the run that the model lies in.
        split: "validation", "test", "train", or "all" labelled images.
        teacher: a second model, in any format, to compare the answers with.
        out: folder for the files; None: in `evaluations/` of the run, or of the current folder.
        batch_size: images that the model gets at a time.
        timing: whether to measure the time per image.
        preprocess, teacher_preprocess: pixel values that the models expect, one of
            `models.preprocessing.MODES`; None: 0..255.
        class_names: names in the order of the model's outputs, or a text file with one a line;
            None: those that the file or the run has.
        data_dir, image_size, resize, val_fraction: see `data.load`; None: those of the run, else
            those of the model.
        imports: modules that register the model's own layers.
        label_mode: "single" or "multi", see `data.load`; None: as the model or its run says.
        write: whether to write the files.
        screen: where lines and tables are shown; None shows nothing.

    Returns:
        All numbers, see `Evaluation`; of images with several classes, `MultiLabelEvaluation`.

    Raises:
        ValueError, OSError: the model, the data or an option is wrong, or they do not fit together.
    """
    check.whole_number("batch_size", batch_size, at_least=1)
    check.one_of("split", split, evaluation_data.SPLITS)
    is_multi_label = (
        label_mode is not None and check.one_of("label_mode", label_mode, LABEL_MODES) == "multi"
    )
    if write:
        run_or_folder = model_argument.resolve(model).run or Path() if out is None else out
        output_paths.require_folder(Path(run_or_folder).expanduser(), "--out" if out else "")
    opened_classifier = opened_model.open_model(
        model,
        preprocess=preprocess,
        class_names=class_names,
        imports=imports,
        multi_label=is_multi_label,
    )
    if teacher is not None:
        model_argument.resolve(teacher)
    options = DataOptions(
        *(dataset, data_dir, image_size, resize, val_fraction),
        label_mode="multi" if opened_classifier.metadata.multi_label else label_mode,
    )
    job = EvaluationJob(options, split, batch_size, screen or Screen(quiet=True))
    data, evaluated_split = job.data_of(opened_classifier)
    if screen is not None:
        split_text = "" if split == "all" else f"{split} "
        screen.say(
            f"{paths.short_path(opened_classifier.path)} on {len(evaluated_split):,} {split_text}"
            f"images of {data.name}"
        )
    logits, confidence = job.scores(opened_classifier, data, evaluated_split)
    comparison = None
    if teacher is not None:
        second = opened_model.open_model(
            teacher,
            preprocess=teacher_preprocess,
            imports=imports,
            multi_label=data.multi_label,
        )
        comparison = job.compared(second, logits)
    facts = job.measurements(opened_classifier, data, evaluated_split, timing=timing) | {
        "teacher": comparison,
        "folder": _folder(out, opened_classifier, data.name, split) if write else None,
    }
    result = (
        MultiLabelEvaluation.from_scores(logits, evaluated_split, **facts)
        if data.multi_label
        else Evaluation.from_scores(logits, confidence, evaluated_split, **facts)
    )
    _write_and_show(result, evaluated_split, screen)
    return result


def _write_and_show(
    result: Evaluation | MultiLabelEvaluation, split: Split, screen: Screen | None
) -> None:
    """Writes the files if there is a folder for them; shows the tables if there is a screen.

    Args:
        result: the evaluation, with its folder or None.
        split: the evaluated images.
        screen: where tables are shown; None: nowhere.
    """
    if isinstance(result, MultiLabelEvaluation):
        if result.folder is not None:
            multi_label_evaluation.write(result.folder, result)
        if screen is not None:
            multi_label_evaluation.show(result, screen)
        return
    if result.folder is not None:
        evaluation.write(result.folder, result, split)
    if screen is not None:
        evaluation_table.show(result, screen)


def _folder(out: str | Path | None, model: OpenedModel, dataset: str, split: str) -> Path:
    """The given folder, or one whose name says what is evaluated on what."""
    if out is not None:
        return Path(out).expanduser()
    kind, _, location = dataset.partition(":")
    words = [model.path.stem, model.classifier.format, kind, Path(location).name, split]
    name = re.sub(r"[^\w.-]+", "_", "-".join(filter(None, words)))
    return (model.run or Path()) / FOLDER / name
