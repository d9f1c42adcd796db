"""The result of a run in one sentence, its verdict, and what to try where nothing was gained."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from kd_keras.results import verdict
from kd_keras.results.metrics import timing
from kd_keras.results.page.page_elements import Text
from kd_keras.results.phase_names import BASELINE, STUDENT, has_unmeasured_teacher
from kd_keras.results.report.finished_run import FinishedRun

FEW_STEPS = 2000  # of training; with fewer, a longer one often helps
STILL_RISING = 0.005  # top-1, or mAP, gained in the last quarter of the epochs
RISING_IMAGES = 5  # by which it must be gained at least; fewer are chance
FEW_IMAGES = 1000  # of validation; the interval is wider than about 2 points


def elements(run: FinishedRun) -> list[Text]:
    """The headline, the verdict, and advice if the student gained nothing measurable."""
    lines = [Text(sentence(run), "lead"), *_verdict(run)]
    if tips := what_to_try(run):
        lines.append(Text(f"What to try. {' '.join(tips)}", "note"))
    return lines


def what_to_try(run: FinishedRun) -> list[str]:
    """The `advice`, if the student gained nothing measurable over the student alone."""
    gain = _comparison(run, run.student, run.alone)
    return advice(run) if gain is None or verdict.direction(gain) != verdict.BETTER else []


def sentence(run: FinishedRun) -> str:
    """The headline: gain with its interval, share of the teacher's accuracy, size and speed."""
    student = run.results[run.student]
    gain = _comparison(run, run.student, run.alone)
    score_text = f"{100 * student[run.score.key]:.1f} %"
    text = (
        f"The {run.name_in_text(run.student)} has a mean average precision of {score_text}"
        if run.multi_label
        else f"The {run.name_in_text(run.student)} is right on {score_text} of the validation "
        "images"
    )
    if gain is not None:
        text += (
            f", {gain['difference'] * 100:+.1f} points against the same network trained alone "
            f"(95 % interval {gain['low'] * 100:+.1f} to {gain['high'] * 100:+.1f})"
        )
    return f"{text}.{_against_teacher(run)}"


def advice(run: FinishedRun) -> list[str]:
    """What to try, from what the run shows; empty for plain training."""
    if run.teacher is None and not has_unmeasured_teacher(run.results):
        return []
    to_teacher = _comparison(run, run.teacher, run.alone)
    if to_teacher is not None and verdict.direction(to_teacher) == verdict.WORSE:
        return [
            "Improve the teacher first: it is worse than the student alone, so no change of the "
            "student will show a gain."
        ]
    history, student = run.history(run.student), run.results[run.student]
    lines = []
    if run.teacher and student["parameters"] >= run.results[run.teacher]["parameters"]:
        lines.append(
            "The student has at least as many parameters as its teacher. Choose a smaller student "
            "(--student) or a larger teacher (--teacher)."
        )
    lines += _longer(run, history)
    agreement = history.get("agreement") or [1.0]
    last_agreement = agreement[-1]
    if last_agreement < 0.7:
        lines.append(
            f"The student agrees with its teacher on only {100 * last_agreement:.0f} % of the "
            "training images. If longer training does not raise that, its capacity is the limit: "
            "try a larger --student, or an assistant in between (--assistants)."
        )
    images = _images(run)
    if images is not None and images < FEW_IMAGES and run.alone:
        is_held_out = run.data is None or "-val" in run.data.fingerprint
        data_advice = (
            "hold out more images (--val-fraction)" if is_held_out else "add validation images"
        )
        lines.append(
            f"{images:,} validation images cannot show small gains. Repeat with more seeds "
            f"(--seed), or {data_advice}."
        )
    return lines


def _longer(run: FinishedRun, history: Mapping[str, Sequence[float]]) -> list[str]:
    """Advice to train longer, with a number of epochs, if the training was short."""
    epochs = len(history.get("loss", ()))
    steps, rise = _steps(run, epochs), _late_rise(history.get(f"val_{run.score.key}", ())) or 0.0
    is_rising = rise > max(STILL_RISING, RISING_IMAGES / (_images(run) or math.inf))
    is_short = steps is not None and steps < FEW_STEPS
    if not (is_rising or is_short):
        return []
    reasons = []
    if steps is not None and is_short:
        reasons.append(f"Training took {steps:,} steps, which is few")
    if is_rising:
        reasons.append(
            f"the student was still learning when training ended ({100 * rise:+.1f} points in the "
            "last quarter of the epochs)"
        )
    times = 2 if steps is None else min(10, max(2, math.ceil(FEW_STEPS / steps)))
    text = ", and ".join(reasons)
    return [f"{text[0].upper()}{text[1:]}. Try --epochs {times * epochs}."]


def _images(run: FinishedRun) -> int | None:
    """The number of validation images; None for a run of an earlier version."""
    if run.multi_label:
        return None if run.labels is None else len(run.labels)
    images: int | None = run.results[run.student].get("calibration", {}).get("images")
    return images


def _comparison(run: FinishedRun, phase: str | None, other: str | None) -> Mapping[str, Any] | None:
    entries = run.results.get("comparisons", ())
    matches = [e for e in entries if (e["phase"], e["other"]) == (phase, other)]
    return matches[0] if matches else None


def _verdict(run: FinishedRun) -> list[Text]:
    """The sentences of the verdict, each marked by what it found."""
    if "comparisons" not in run.results:
        return [Text(line, "note") for line in run.results.get("verdict", ())]
    lines, entries = verdict.lines(run.results), run.results["comparisons"]
    styles = [_text_style(run, entry) for entry in entries]
    return [
        Text(line, style)
        for line, style in zip(lines, styles + ["note"] * (len(lines) - len(styles)), strict=True)
    ]


def _text_style(run: FinishedRun, entry: Mapping[str, Any]) -> str:
    direction = verdict.direction(entry)
    if direction == verdict.WORSE and run.role(entry["other"]) == BASELINE:
        return "bad"  # distillation cost accuracy, or the teacher has little to teach
    has_gained = direction == verdict.BETTER and run.role(entry["phase"]) == STUDENT
    return "good" if has_gained else "note"


def _against_teacher(run: FinishedRun) -> str:
    """ "It keeps 97 % of the teacher's accuracy, is 12 times smaller and 5.2 times faster." """
    if run.teacher is None:
        return ""
    student, teacher = run.results[run.student], run.results[run.teacher]
    size = _times(teacher["parameters"], student["parameters"], "smaller", "larger")
    phrases = [f"is {size}"]
    if timing.steady(teacher) and timing.steady(student):
        teacher_time, student_time = (
            entry["milliseconds_per_image"]["batch1"] for entry in (teacher, student)
        )
        phrases[0] += f" and {_times(teacher_time, student_time, 'faster', 'slower')}"
    if teacher[run.score.key]:
        share = student[run.score.key] / teacher[run.score.key]
        what = run.score.name if run.multi_label else "accuracy"
        phrases.insert(0, f"keeps {100 * share:.0f} % of the teacher's {what}")
    conjunction = ", " if " and " in phrases[-1] else " and "
    return f" It {conjunction.join(phrases)}."


def _times(teacher: float, student: float, better_word: str, worse_word: str) -> str:
    ratio = teacher / max(student, 1e-9)
    if 0.95 < ratio < 1.05:
        return {"smaller": "as large as it", "faster": "as fast as it"}[better_word]
    times, word = (ratio, better_word) if ratio > 1 else (1 / ratio, worse_word)
    return f"{times:,.{0 if times >= 10 else 1}f} times {word}"


def _late_rise(values: Sequence[float]) -> float | None:
    """Gain over the last quarter of the epochs; None for fewer than four."""
    return None if len(values) < 4 else values[-1] - values[-1 - len(values) // 4]


def _steps(run: FinishedRun, epochs: int) -> int | None:
    """Steps of the student's training; None for runs of an earlier version."""
    images = run.results.get("data", {}).get("train_images")
    if not (images and epochs):
        return None
    return int(images // run.recipe["batch_size"]) * epochs
