"""The verdict of a run: sentences with numbers that say whether distillation helped."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from kd_keras.results.metrics import main_score, multi_label, statistics
from kd_keras.results.metrics.main_score import Score
from kd_keras.results.phase_names import (
    BASELINE,
    STUDENT,
    TEACHER,
    has_unmeasured_teacher,
    role,
)
from kd_keras.results.terminal import table

BETTER, WORSE, UNCLEAR = "better", "worse", "unclear"  # see `direction`
_WITH_BASELINE = "Run the command again with --baseline to see what distillation gained."
_LONGER = "Train the teacher longer (--teacher-epochs), use a larger one (--teacher), or deploy"


def make_verdict(
    results: Mapping[str, Any],
    predictions: Callable[[str], Any],
    labels: np.ndarray,
    *,
    seed: int,
) -> dict[str, Any]:
    """Entries of results.json: "comparisons", and "verdict" with the sentences.

    Args:
        results, labels, seed: see `comparisons`.
        predictions: returns, for a phase, the predicted class of each validation image, (N,) int;
            of labels (N, C), its scores, (N, C) float.
    """
    all_predictions = {phase: predictions(phase) for phase in table.models(results)}
    entries = comparisons(results, all_predictions, labels, seed=seed)
    return {"comparisons": entries, "verdict": lines({**results, "comparisons": entries})}


def comparisons(
    results: Mapping[str, Any],
    predictions: Mapping[str, np.ndarray],
    labels: np.ndarray,
    *,
    seed: int,
) -> list[dict[str, Any]]:
    """The differences in top-1, or mAP, that `lines` describes, with 95 % intervals over images.

    Each student, and the teacher, is compared with the same network trained alone. Without such a
    baseline, each student is compared with the teacher.

    Args:
        results: results by phase, as in `table.rows`.
        predictions: by phase, the predicted class of each validation image, (N,) int; or scores.
        labels: (N,) int labels of the same images; or (N, C) of 0 and 1.
        seed: seed of the bootstrap.

    Returns:
        For each comparison, a mapping of `phase`, `other` (phases), `images`, `difference`, `low`,
        `high` (fractions: top-1 of `phase` minus top-1 of `other`), `p` (McNemar's exact test).
        Of labels (N, C), differences are those of mAP, and there is no test.
    """
    if labels.ndim == 2:
        return _multi_label_comparisons(results, predictions, labels, seed)
    is_right = {
        phase: predicted_classes == labels for phase, predicted_classes in predictions.items()
    }
    entries = []
    for phase, other in _pairs(results):
        difference, low, high = statistics.bootstrap_interval(
            is_right[phase], is_right[other], seed
        )
        *_, p = statistics.mcnemar(is_right[phase], is_right[other])
        interval = {"difference": difference, "low": low, "high": high, "p": p}
        entries.append({"phase": phase, "other": other, "images": len(labels), **interval})
    return entries


def _multi_label_comparisons(
    results: Mapping[str, Any], scores: Mapping[str, np.ndarray], labels: np.ndarray, seed: int
) -> list[dict[str, Any]]:
    entries = []
    for phase, other in _pairs(results):
        interval = multi_label.difference(labels, scores[phase], scores[other], seed=seed)
        numbers = dict(zip(("difference", "low", "high"), interval, strict=True))
        entries.append({"phase": phase, "other": other, "images": len(labels), **numbers})
    return entries


def lines(results: Mapping[str, Any]) -> list[str]:
    """A sentence or two on each entry of `results["comparisons"]`, and on a student without one.

    Args:
        results: results by phase, as in `table.rows`, with "comparisons" from `comparisons`.
    """
    entries = results["comparisons"]
    compared_phases = {entry["phase"] for entry in entries}
    teacher = "a cached teacher" if results.get("teacher_cache") else "a teacher without classes"
    key = main_score.score_of_results(results).key
    lines_without_comparison = [
        f"The {table.model_name(phase, results)} ({results[phase][key]:.1%}) cannot be "
        f"compared: {teacher} has no accuracy on the validation images. {_WITH_BASELINE}"
        for phase in _distilled_students(results)
        if phase not in compared_phases
    ]
    return [_line(entry, results) for entry in entries] + lines_without_comparison


def direction(entry: Mapping[str, Any]) -> str:
    """Whether the first model of a comparison is measurably "better", "worse", or "unclear".

    The interval must exclude 0, and McNemar's test must see a difference, where there is one: an
    interval over few images is too narrow.
    """
    if (
        entry.get("p", 0.0) >= statistics.SIGNIFICANCE_LEVEL
    ):  # mAP has no such test, and an earlier version wrote no p
        return UNCLEAR
    return BETTER if entry["low"] > 0 else WORSE if entry["high"] < 0 else UNCLEAR


def _pairs(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    phases = table.models(results)
    baselines = [phase for phase in phases if role(phase, results) == BASELINE]
    teacher = ["teacher"] if "teacher" in phases else []
    pairs = []
    for learner in _distilled_students(results):
        partners = [b for b in baselines if _spec(b, results) == _spec(learner, results)] or teacher
        pairs += [(learner, other) for other in partners]
    return pairs + [(phase, other) for phase in teacher for other in baselines]


def _distilled_students(results: Mapping[str, Any]) -> list[str]:
    """The students that learnt from a teacher."""
    if not (results.get("teacher") or has_unmeasured_teacher(results)):
        return []
    return [phase for phase in table.models(results) if role(phase, results) == STUDENT]


def _spec(phase: str, results: Mapping[str, Any]) -> Any:
    return results[phase].get("spec")


def _line(entry: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    phase, other, score = entry["phase"], entry["other"], main_score.score_of_results(results)
    numbers = (
        f"{table.model_name(phase, results)} {results[phase][score.key]:.1%}, "
        f"{table.model_name(other, results)} {results[other][score.key]:.1%}: "
        f"{entry['difference'] * 100:+.1f} points of {score.name}, 95 % interval "
        f"{entry['low'] * 100:+.1f} to {entry['high'] * 100:+.1f} over {entry['images']:,} images"
    )
    if role(phase, results) == TEACHER:
        return _teacher_over_alone(entry, numbers)
    if role(other, results) == TEACHER:
        return _over_teacher(entry, numbers)
    return _over_alone(entry, numbers, score)


def _over_alone(entry: Mapping[str, Any], numbers: str, score: Score) -> str:
    if direction(entry) == BETTER:
        return (
            f"The distilled student is {score.better} than the student alone in this run, one seed "
            f"({numbers}). Repeat with more seeds (--seed) to judge the method."
        )
    if direction(entry) == WORSE:
        return (
            f"The distilled student is {score.worse} than the student alone in this run, one seed "
            f"({numbers}). Deploy the student alone ({_file(entry)}), or try a better teacher, a "
            "different --method or more --epochs."
        )
    return (
        "There is no measurable difference between the distilled student and the student alone "
        f"({numbers}). To tell them apart, train longer, evaluate on more images, or repeat with "
        "more seeds (--seed)."
    )


def _teacher_over_alone(entry: Mapping[str, Any], numbers: str) -> str:
    if direction(entry) == BETTER:
        return f"The teacher is better than the student alone ({numbers})."
    if direction(entry) == WORSE:
        return (
            f"The teacher is worse than the student alone ({numbers}), so it has little to teach. "
            f"{_LONGER} the student alone ({_file(entry)})."
        )
    return (
        f"The teacher is not measurably better than the student alone ({numbers}), so it may have "
        f"little to teach. {_LONGER} the student alone."
    )


def _file(entry: Mapping[str, Any]) -> str:
    """The file of the other model of a comparison, by its name in the run folder."""
    return f"{entry['other']}.keras in the run folder"


def _over_teacher(entry: Mapping[str, Any], numbers: str) -> str:
    if direction(entry) == BETTER:
        return (
            f"The student is better than its teacher ({numbers}), so the teacher is the limit. "
            f"Train it longer (--teacher-epochs) or use a larger one (--teacher). {_WITH_BASELINE}"
        )
    if direction(entry) == WORSE:
        return f"The teacher is better than the student ({numbers}). {_WITH_BASELINE}"
    return (
        f"There is no measurable difference between student and teacher ({numbers}). "
        f"{_WITH_BASELINE}"
    )
