"""What the results say about the distillation, in sentences with their numbers."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kd_keras.results import statistics, table
from kd_keras.results.phase_names import BASELINE, STUDENT, TEACHER, role

_WITH_BASELINE = "Run the command again with --baseline to see what distillation gained."
_LONGER = "Train the teacher longer (--teacher-epochs), take a larger one (--teacher), or deploy"


def of(
    results: Mapping[str, Any],
    predictions: Callable[[str], np.ndarray],
    labels: np.ndarray,
    *,
    seed: int,
) -> dict[str, Any]:
    """What results.json holds of it: "comparisons" and "verdict", the sentences.

    Args:
        results, labels, seed: see `comparisons`.
        predictions: phase to (N,) int, the class predicted for each validation image.
    """
    each = {phase: predictions(phase) for phase in table.models(results)}
    entries = comparisons(results, each, labels, seed=seed)
    return {"comparisons": entries, "verdict": lines({**results, "comparisons": entries})}


def comparisons(
    results: Mapping[str, Any],
    predictions: Mapping[str, np.ndarray],
    labels: np.ndarray,
    *,
    seed: int,
) -> list[dict[str, Any]]:
    """The differences in top-1 that `lines` speaks of, with 95 % intervals over images.

    Each student is compared with the same network trained alone, and the teacher with that one;
    without such a baseline, each student is compared with the teacher.

    Args:
        results: by phase, as in `report.rows`.
        predictions: by phase, (N,) int, the class predicted for each validation image.
        labels: (N,) int, of the same images.
        seed: of the bootstrap.

    Returns:
        A mapping each of `phase`, `other` (phases), `images`, `difference`, `low`, `high`
        (fractions: top-1 of `phase` minus top-1 of `other`).
    """
    right = {phase: predicted == labels for phase, predicted in predictions.items()}
    entries = []
    for phase, other in _pairs(results):
        difference, low, high = statistics.bootstrap_interval(right[phase], right[other], seed)
        interval = {"difference": difference, "low": low, "high": high}
        entries.append({"phase": phase, "other": other, "images": len(labels), **interval})
    return entries


def lines(results: Mapping[str, Any]) -> list[str]:
    """A sentence or two on each entry of `results["comparisons"]`, and on a student without one.

    Args:
        results: by phase, as in `report.rows`, with "comparisons" from `comparisons`.
    """
    entries = results["comparisons"]
    compared = {entry["phase"] for entry in entries}
    alone = [
        f"The accuracy of a cached teacher on these images is not known, so the "
        f"{table.model_name(phase, results)} ({results[phase]['top1']:.1%}) is compared with "
        f"nothing. {_WITH_BASELINE}"
        for phase in _taught(results)
        if phase not in compared
    ]
    return [_line(entry, results) for entry in entries] + alone


def _pairs(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    phases = table.models(results)
    alone = [phase for phase in phases if role(phase, results) == BASELINE]
    teacher = ["teacher"] if "teacher" in phases else []
    pairs = []
    for learner in _taught(results):
        others = [b for b in alone if _spec(b, results) == _spec(learner, results)] or teacher
        pairs += [(learner, other) for other in others]
    return pairs + [(phase, other) for phase in teacher for other in alone]


def _taught(results: Mapping[str, Any]) -> list[str]:
    """The students that learnt from a teacher."""
    if not (results.get("teacher") or results.get("teacher_cache")):
        return []
    return [phase for phase in table.models(results) if role(phase, results) == STUDENT]


def _spec(phase: str, results: Mapping[str, Any]) -> Any:
    return results[phase].get("spec")


def _line(entry: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    phase, other = entry["phase"], entry["other"]
    numbers = (
        f"{table.model_name(phase, results)} {results[phase]['top1']:.1%}, "
        f"{table.model_name(other, results)} {results[other]['top1']:.1%}: "
        f"{entry['difference'] * 100:+.1f} points of top-1, 95 % interval "
        f"{entry['low'] * 100:+.1f} to {entry['high'] * 100:+.1f} over {entry['images']:,} images"
    )
    if role(phase, results) == TEACHER:
        return _of_teacher(entry, numbers)
    over = _over_teacher if role(other, results) == TEACHER else _over_alone
    return over(entry, numbers)


def _over_alone(entry: Mapping[str, Any], numbers: str) -> str:
    if entry["low"] > 0:
        return f"Distillation gained accuracy ({numbers})."
    if entry["high"] < 0:
        return (
            f"Distillation cost accuracy ({numbers}). Deploy the student alone, or try a better "
            "teacher, another --method or more --epochs."
        )
    return (
        f"These images show no difference between distilled and alone ({numbers}). Train longer, "
        "evaluate on more images, or repeat with other seeds (--seed) to tell the two apart."
    )


def _of_teacher(entry: Mapping[str, Any], numbers: str) -> str:
    if entry["low"] > 0:
        return f"The teacher is better than the student alone ({numbers})."
    if entry["high"] < 0:
        return (
            f"The teacher is worse than the student alone ({numbers}), so it has little to teach. "
            f"{_LONGER} the student alone."
        )
    return (
        f"The teacher is not measurably better than the student alone ({numbers}), so it may have "
        f"little to teach. {_LONGER} the student alone."
    )


def _over_teacher(entry: Mapping[str, Any], numbers: str) -> str:
    if entry["low"] > 0:
        return (
            f"The student is better than its teacher ({numbers}), so the teacher is the limit. "
            f"Train it longer (--teacher-epochs) or take a larger one (--teacher). {_WITH_BASELINE}"
        )
    if entry["high"] < 0:
        return f"The teacher is better than the student ({numbers}). {_WITH_BASELINE}"
    return (
        f"These images show no difference between student and teacher ({numbers}). {_WITH_BASELINE}"
    )
