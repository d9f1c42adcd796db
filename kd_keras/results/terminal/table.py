"""The table and the lines that a run ends with."""

import math
from collections.abc import Mapping
from typing import Any

from kd_keras.results import phase_names
from kd_keras.results.metrics import main_score
from kd_keras.results.terminal.screen import Screen

# Headings of the closing table; two-line headings keep it within 80 columns.
_TOP1, _TOP5, _ALONE, _BATCH = "top-1\n%", "top-5\n%", "ms/image\nbatch 1", "ms/image\nbatch 128"
_MAP, _F1 = "mAP\n%", "F1\n%"  # of multi-label data, in place of the accuracies
COLUMNS = ("model", _TOP1, _TOP5, "params", "saved\nMB", _ALONE, _BATCH)
_OF_SEVERAL = {_TOP1: _MAP, _TOP5: _F1}
_SCORES = {_TOP1: "top1", _TOP5: "top5", _MAP: "map", _F1: "f1"}
FEWEST_CLASSES_FOR_TOP5 = 10


def columns(results: Mapping[str, Any]) -> list[str]:
    """The headings of the closing table: no top-5 for few classes, no times if none is known."""
    has_few_classes = results.get("data", {}).get("classes", math.inf) < FEWEST_CLASSES_FOR_TOP5
    is_timed = any(results[phase]["milliseconds_per_image"] for phase in models(results))
    is_multi_label = main_score.score_of_results(results) is main_score.MAP
    headings = [_OF_SEVERAL.get(column, column) if is_multi_label else column for column in COLUMNS]
    hidden_headings = {_TOP5} if has_few_classes else set()
    hidden_headings |= set() if is_timed else {_ALONE, _BATCH}
    return [column for column in headings if column not in hidden_headings]


def rows(results: Mapping[str, Any]) -> list[list[str | None]]:
    """The lines of the closing table, one a model that is there; None where nothing is known.

    Args:
        results: by phase ("teacher", "teacher-1", "baseline", "assistant-1", "generation-1",
            "student"), in the order of the lines, None or a mapping of `top1`, `top5` (fractions;
            of multi-label data `map`, `f1`), `parameters`, `milliseconds_per_image` (see
            `timing.latency`; None if it was not timed) and, if it was exported, `export`
            (`megabytes`). Of what is not a model, "data" may tell the number of `classes`.

    Returns:
        A text for each of `columns`.
    """
    names = columns(results)
    lines = [{"model": model_name(p, results), **_cells(results[p])} for p in models(results)]
    return [[line[column] for column in names] for line in lines]


def models(results: Mapping[str, Any]) -> list[str]:
    """The phases of the models in `results`, in their order."""
    keys = (main_score.TOP1.key, main_score.MAP.key)
    return [
        phase
        for phase, result in results.items()
        if isinstance(result, Mapping) and any(key in result for key in keys)
    ]


def time_spent(results: Mapping[str, Any]) -> str:
    """A line on the seconds that each model's training took, and measuring all of them.

    Args:
        results: as for `rows`, with `seconds` of each model: `training`, None of one that came
            from a file, and `measuring`; both are of the call that did it.
    """
    times_of_models = [(model_name(p, results), results[p]["seconds"]) for p in models(results)]
    training_times = [
        (name, times["training"]) for name, times in times_of_models if times["training"]
    ]
    phrases = ", ".join(f"{name} {time:,.0f}" for name, time in training_times)
    measuring_seconds = sum(times["measuring"] for _, times in times_of_models)
    training_seconds = sum(time for _, time in training_times)
    return (
        f"Training took {training_seconds:,.0f} s ({phrases}), evaluating, exporting and timing "
        f"{measuring_seconds:,.0f} s"
    )


def best_epoch(result: Mapping[str, Any]) -> str | None:
    """Which of the trained epochs a model's weights are from; None if training took all epochs.

    Args:
        result: a model's entry of `results`, with `stop_early`: `best_epoch` and `epochs`.
    """
    end = result.get("stop_early")
    return None if end is None else f"{end['best_epoch']} of {end['epochs']}"


def best_epochs(results: Mapping[str, Any]) -> str | None:
    """A line on the epoch whose weights each model has, of a run that stops early; else None."""
    ends = {model_name(p, results): best_epoch(results[p]) for p in models(results)}
    phrases = [f"{name} {end}" for name, end in ends.items() if end]
    return f"Best epoch, whose weights are kept: {', '.join(phrases)}" if phrases else None


def evaluated_images(results: Mapping[str, Any]) -> str:
    """Which images a run was evaluated on.

    Args:
        results: as for `rows`, with "data": `validated_on_holdout`.
    """
    data = results.get("data", {})
    on_holdout = data.get("validated_on_holdout", data.get("selected"))  # an earlier version's key
    return "a held-out tenth of train" if on_holdout else "validation"


def labels(results: Mapping[str, Any]) -> str | None:
    """How many training images had a label, of a run where not all had one; else None.

    Args:
        results: as for `rows`, with "data": `labelled_images`, `unlabelled_images` and
            `teacher_labels`.
    """
    data = results.get("data", {})
    if "unlabelled_images" not in data:
        return None
    labelled_text = f"{data['labelled_images']:,} labelled"
    phrases = [
        f"{labelled_text} and {data['unlabelled_images']:,} unlabelled images for the student"
    ]
    roles = {phase_names.role(phase, results): phase for phase in models(results)}
    if phase_names.BASELINE in roles:
        phrases.append(f"the {labelled_text} ones for the student alone")
    teacher = results.get(roles.get(phase_names.TEACHER, ""), {})
    if teacher.get("seconds", {}).get("training"):  # a teacher from a file was trained elsewhere
        phrases.append(f"{data['teacher_labels']:,} labelled ones for the teacher")
    return ", ".join(phrases)


def model_name(phase: str, results: Mapping[str, Any]) -> str:
    """What a person calls the model; without a teacher the student is not called distilled.

    Args:
        phase: name of the phase.
        results: results by phase, as for `rows`.
    """
    if phase == "teacher" and "teacher-1" in results:
        return "mean of the teachers"
    if "spec" in (results[phase] or {}):  # one of several students
        return f"{results[phase]['spec']}, {' + '.join(results[phase]['methods']) or 'alone'}"
    if phase_names.role(phase, results) == phase_names.STUDENT:
        roles = [phase_names.role(other_phase, results) for other_phase in models(results)]
        num_generations = roles.count(phase_names.GENERATION)
        has_teacher = results.get("teacher") or phase_names.has_unmeasured_teacher(results)
        name = "student distilled" if has_teacher else "student"
        return f"{name}, generation {num_generations + 1}" if num_generations else name
    return phase_names.display_name(phase)


def _cells(result: Mapping[str, Any]) -> dict[str, str | None]:
    """What the table shows of a model, by column."""
    times = result["milliseconds_per_image"] or {}
    export = result.get("export")
    return {
        **{name: _percent(result.get(key)) for name, key in _SCORES.items()},
        "params": f"{result['parameters']:,}",
        "saved\nMB": f"{export['megabytes']:.2f}" if export else None,
        _ALONE: _time(times, "batch1"),
        _BATCH: _time(times, "batch128"),
    }


def _percent(share: float | None) -> str | None:
    return None if share is None else f"{share:.2%}".rstrip("%")


def _time(times: Mapping[str, Any], batch: str) -> str | None:
    if batch not in times:
        return None
    spread = times.get("spread", {}).get(batch)  # runs of an earlier version have none
    median = _digits(times[batch], 3)
    return median if spread is None else f"{median} ±{_digits(spread, 1)}"


def _digits(value: float, digits: int) -> str:
    """A number >= 0 with `digits` significant digits, never with an exponent."""
    decimals = digits - 1 - math.floor(math.log10(value)) if value else 0
    return f"{value:,.{max(0, decimals)}f}"


def table(results: Mapping[str, Any], screen: Screen, title: str = "Results") -> None:
    """Shows the models side by side, within 80 columns."""
    screen.table(title, columns(results), rows(results))
    if _ALONE in columns(results):
        screen.say("ms/image: median ± half the interquartile range; equal networks are timed once")
