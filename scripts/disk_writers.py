"""What kdk writes, and the commands that write it, for scripts/full_disks.py."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TRAIN = (
    "train --recipe quickstart --batch-size 512 --epochs 1 --teacher-epochs 1 --views 1 "
    "--no-timing "
    "--precision float32 --teacher plain_cnn4:width=0.25 --student plain_cnn4:width=0.25 "
    "--method kd --allow-weak-teacher --checkpoint-minutes 0 --export-dir {disk}/exports "
    "--run {disk}/runs/base"
)
EVALUATE = "evaluate {disk}/runs/base --no-timing --out {disk}/out/evaluation"
PREDICT = (
    f"predict {{disk}}/runs/base {ROOT}/docs/images/app.png --resize crop "
    "--out {disk}/out/rows.csv"
)
EXPORT = "export {disk}/runs/base --format "
REPORT = "report {disk}/runs/base"
COMPARE = "compare {disk}/runs/base {disk}/runs/other --html {disk}/out/comparison.html"
CACHE = (
    "cache --recipe quickstart --precision float32 --views 1 --out {disk}/out/rows "
    "--teacher {disk}/runs/base/teacher.keras"
)
# Commands that make the files that cases start from, by the command of the case.
_EARLIER = {
    "evaluate": (EVALUATE,),
    "predict": (PREDICT,),
    "export": (f"{EXPORT}litert",),
    "report": (REPORT,),
    "compare": (TRAIN.replace("runs/base", "runs/other") + " --seed 1", COMPARE),
}
# What a case removes first, so that its command writes it again.
_RUN = ("runs/base", "exports/base")
_END = ("runs/base/results.json", "runs/base/checksums.json")
_STUDENT = ("runs/base/student.json", *_END)
_GOES_ON = {"removed": (0,)}  # the folder is made again
_EXTRA = {"full": (0,), "read-only": (0,)}  # the run can do without it


@dataclasses.dataclass(frozen=True)
class Writer:
    """One thing that is written.

    Attributes:
        name: what it is.
        command: the words that write it; {disk} is where the disk is.
        moment: pattern of its path, or FUNCTION>PATH, see `full_disks.at`.
        lacks: patterns of what is removed from the disk before.
        other_codes: exit codes that are right beside 2, by fault.
        removes: patterns of what the command rightly removes at that moment.
    """

    name: str
    command: str
    moment: str
    lacks: tuple[str, ...] = ()
    other_codes: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    removes: tuple[str, ...] = ()


_LOGS = "kd_keras.results.loggers.tensorboard_logs"

WRITERS = (
    Writer(
        "store of images",
        TRAIN,
        "kd_keras.data.stores.store_writer:write>cache/digits",
        ("cache/digits-*", *_RUN),
    ),
    *(
        Writer(name, TRAIN, f"*/{name}", _RUN)
        for name in ("running.json", "recipe.json", "provenance.json", "data.json")
    ),
    Writer("validation labels", TRAIN, "*/validation-labels.npy", _RUN),
    Writer(
        "TensorBoard's images",
        TRAIN,
        f"{_LOGS}:write_picture>runs/base/logs/images",
        _RUN,
        _GOES_ON,
    ),
    Writer(
        "TensorBoard's curves",
        TRAIN,
        f"{_LOGS}:EpochTensorBoard._write>runs/base/logs/teacher",
        _RUN,
        _GOES_ON,
    ),
    Writer("checkpoint", TRAIN, "*/checkpoints/step-*.npz", _RUN, _GOES_ON),
    Writer("header of a checkpoint", TRAIN, "*/checkpoints/step-*.json", _RUN, _GOES_ON),
    Writer("history as CSV", TRAIN, "*/teacher-history.csv", _RUN),
    Writer("teacher.keras", TRAIN, "*/teacher.keras", _RUN),
    Writer("student.keras", TRAIN, "*/student.keras", _STUDENT),
    Writer("student.json", TRAIN, "*/student.json", _STUDENT),
    Writer(
        "header of a run's cache",
        TRAIN,
        "*/teachers/*/header.json",
        ("cache/teachers", *_STUDENT),
        _GOES_ON,
    ),
    Writer(
        "rows of a run's cache",
        TRAIN,
        "*/teachers/*/view*.npy",
        ("cache/teachers", *_STUDENT),
        _GOES_ON,
    ),
    Writer(
        "scores of a teacher's file",
        TRAIN.replace("runs/base", "runs/new").replace(
            "--teacher plain_cnn4:width=0.25", "--teacher {disk}/runs/base/teacher.keras"
        ),
        "*/scores/*.npy",
        (),
        _GOES_ON,
    ),
    Writer("SavedModel of a run", TRAIN, "*/exports/base", _STUDENT, _GOES_ON),
    Writer("name of the run in it", TRAIN, "*/assets.extra/run.txt", _STUDENT, _GOES_ON),
    Writer("predictions of a run", TRAIN, "*/student-predictions.npy", _STUDENT),
    Writer("scores of a run", TRAIN, "*/student-scores.npy", _STUDENT),
    Writer("history.png", TRAIN, "*/history.png", _END),
    Writer(
        "TensorBoard's HParams",
        TRAIN,
        "kd_keras.job.training.hparams:write>runs/base/logs/student",
        _END,
        _GOES_ON,
    ),
    Writer("checksums.json", TRAIN, "*/checksums.json", _END),
    Writer("results.json", TRAIN, "*/results.json", _END),
    Writer("images of a run's report", TRAIN, "*/report-images.npz", _END, _EXTRA),
    Writer("report of a run", TRAIN, "*/report.html", _END, _EXTRA),
    Writer(
        "end for --continue",
        TRAIN,
        "kd_keras.distill.callbacks.checkpoint:Checkpoint.remove>runs/base/ends/student",
        _STUDENT,
        {"full": (0,), **_GOES_ON},
        ("runs/base/checkpoints/*",),
    ),
    Writer(
        "repeat.json",
        "train --repeat {disk}/runs/base --export-dir {disk}/exports",
        "*/repeat.json",
        (),
        _GOES_ON,
    ),
    Writer("page of kdk report", REPORT, "*/report.html", (), _GOES_ON),
    Writer("plots of kdk report", REPORT, "*/report/*.png", (), _GOES_ON),
    Writer("tables of kdk report", REPORT, "*/report/*.csv", (), _GOES_ON),
    Writer("page of kdk compare", COMPARE, "*/out/comparison.html", (), _GOES_ON),
    Writer("plots of kdk compare", COMPARE, "*/out/comparison/*.png", (), _GOES_ON),
    *(
        Writer(f"{name} of kdk evaluate", EVALUATE, f"*/evaluation/{name}", (), _GOES_ON)
        for name in (
            *("confusion.csv", "confusion.png", "per_class.csv", "wrong.csv", "wrong.png"),
            "evaluation.json",
        )
    ),
    Writer("rows of kdk predict", PREDICT, "*/out/rows.csv", (), _GOES_ON),
    Writer("LiteRT file", f"{EXPORT}litert", "*/exports/student.tflite", (), _GOES_ON),
    Writer("ONNX file", f"{EXPORT}onnx", "*/exports/student.onnx", (), _GOES_ON),
    Writer(
        "SavedModel of kdk export",
        f"{EXPORT}savedmodel",
        "*/exports/student-savedmodel",
        (),
        _GOES_ON,
    ),
    Writer("exports.json", f"{EXPORT}litert", "*/exports.json"),
    Writer("results.json of kdk export", f"{EXPORT}litert", "*/results.json"),
    Writer("ids of kdk cache", CACHE, "*/out/rows/ids.npy", (), _GOES_ON),
    Writer("header of kdk cache", CACHE, "*/out/rows/header.json", (), _GOES_ON),
    Writer("rows of kdk cache", CACHE, "*/out/rows/view*.npy", (), _GOES_ON),
    Writer("mark of finished rows", CACHE, "*/out/rows/view*.json", (), _GOES_ON),
)


def preparation(writers: Sequence[Writer]) -> list[str]:
    """The commands to run once before the cases of these writers."""
    names = dict.fromkeys(writer.command.split()[0] for writer in writers)
    return [TRAIN, *(command for name in names for command in _EARLIER.get(name, ()))]
