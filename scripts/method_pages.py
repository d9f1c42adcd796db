"""Writes docs/methods/: a page a method and their table, from the code and what was measured.

Each page is the method's own account (its module's docstring), its knobs with their defaults, what
it needs, and its cost in docs/methods_cost.json (scripts/bench_methods.py). README.md beside the
pages is the table, with the gains in docs/comparison.json (scripts/compare_methods.py). A test
checks that the pages are those of the code.

    python scripts/method_pages.py
"""

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kd_keras import methods
from kd_keras.cli import quiet

DOCS = Path(__file__).parent.parent / "docs"
FOLDER = DOCS / "methods"
COST, COMPARISON = DOCS / "methods_cost.json", DOCS / "comparison.json"
KNOB = re.compile(r"^    {4}([a-z_0-9, ]+): (.*(?:\n {12}.*)*)", re.MULTILINE)
COLUMNS = (
    *("method", "idea", "reads", "time over `kd`'s", "memory, MB over `kd`"),
    *("deployed parameters", "top-1 %, mean", "gain over the student alone (95 % over images)"),
)
IN_EVERY = {
    "weight": "factor of the cost in the loss",
    "ce_weight": "factor of the cross-entropy, where this is the first method",
    "warmup": "share of the run over which `weight` grows linearly from 0",
    "tap": "the feature that both models are read at",
    "taps": "the features that both models are read at, shallow to deep",
    "student_tap": "the student's, where it is called differently",
    "teacher_tap": "the teacher's, where it is called differently",
    "student_taps": "the student's, where they are called differently",
    "teacher_taps": "the teacher's, where they are called differently",
    "first_stage": "share of the run in which the first stage alone is trained",
    "main_stage_weight": "factor of the cost after the first stage",
}


def main() -> None:
    quiet.import_tensorflow()
    FOLDER.mkdir(exist_ok=True)
    written = pages()
    for old in FOLDER.glob("*.md"):
        if old.name not in written:
            old.unlink()
    for name, text in written.items():
        (FOLDER / name).write_text(text)
    print(f"{len(written)} pages in {FOLDER.relative_to(Path.cwd())}")


def pages() -> dict[str, str]:
    """Text of every page by file name."""
    cost = _read(COST).get("methods", {})
    gains = {row["method"]: row for row in _read(COMPARISON).get("rows", [])}
    made = {f"{name}.md": _page(name, cost.get(name), gains.get(name)) for name in methods.names()}
    return {"README.md": _table(cost, gains), **made}


def _page(name: str, cost: dict[str, Any] | None, gain: dict[str, Any] | None) -> str:
    idea, formula, source, departures = _account(name)
    lines = [f"# `{name}`", "", idea, "", "## Formula", "", "```text", formula, "```", ""]
    lines += ["## Source and defaults", "", _escaped(source), ""]
    lines += ["| knob | default | meaning |", "| --- | --- | --- |", *_knobs(name), ""]
    lines += ["## Needs", "", *(f"- {need}" for need in _needs(name)), ""]
    lines += ["## Cost", "", _cost(cost), "", "## Gain", "", _gain(gain), ""]
    lines += ["## Departures from the paper", "", _escaped(departures or "None known."), ""]
    example = f"kdk train --method {name}"
    lines += ["## Use", "", "```bash", example, "```", "", "[All methods](README.md)", ""]
    return "\n".join(lines)


def _account(name: str) -> tuple[str, str, str, str]:
    """Idea, formula, source and departures, out of the method's own account."""
    first, *rest = methods.explain(name).split("\n\n")
    place = next(i for i, part in enumerate(rest) if part.startswith("Source: "))
    sentences = _sentences(" ".join(rest[place:]).removeprefix("Source: "))
    departs = [s for s in sentences if _departs(s)]
    source = " ".join(s for s in sentences if not _departs(s))
    said = " ".join(s.removeprefix("Departure: ") for s in departs)
    return first, "\n\n".join(rest[:place]), source, said[:1].upper() + said[1:]


def _sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.)])\s+(?=[A-Z`])", " ".join(text.split()))


def _departs(sentence: str) -> bool:
    return "eparture" in sentence


def _knobs(name: str) -> Iterator[str]:
    cls = type(methods.get(name))
    said = {
        knob.strip(): " ".join(meaning.split())
        for knobs, meaning in KNOB.findall(cls.__doc__ or "")
        for knob in knobs.split(",")
    }
    for knob, default in cls.knobs().items():
        if knob != "name":
            meaning = IN_EVERY.get(knob) or said.get(knob, "")
            yield f"| `{knob}` | {_value(default)} | {_escaped(meaning)} |"


def _value(default: Any) -> str:
    if isinstance(default, tuple):
        return f"`{'+'.join(map(str, default))}`"
    return f"`{default:.4g}`" if isinstance(default, float) else f"`{str(default).lower()}`"


def _needs(name: str) -> Iterator[str]:
    method = methods.get(name)
    source = inspect.getsource(type(method))
    yield "no teacher" if method.teacher_free else "a teacher"
    student, teacher = (", ".join(f"`{t}`" for t in taps) for taps in _taps(method))
    if student:
        same = student == teacher
        yield f"taps {student} of both models" if same else f"taps {student} of the student"
        if not same and teacher:
            yield f"taps {teacher} of the teacher"
    else:
        yield "no taps: logits only"
    if "batch.labels" in source:
        yield "labels"
    if method.needs_ids:
        yield "each example's id"
    if method.views_per_image > 1:
        yield f"{method.views_per_image} views of each image"
    if method.whole_batch:
        yield "whole batches: gathered over replicas; no sample weights"
    if method.first_stage:
        yield f"a first stage over {method.first_stage:.3g} of the run, which `fit` runs by itself"


def _taps(method: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return method.student_taps, method.teacher_taps


def _cost(cost: dict[str, Any] | None) -> str:
    if not cost:
        return "Not measured; `python scripts/bench_methods.py` does."
    return (
        f"A step takes {cost['ratio']:.2f} times that of `kd` and {_memory(cost)} MB against it; "
        f"{cost['trained']:,} trained weights of its own "
        f"({cost['weights']:,} with those that are not trained). "
        "`python scripts/bench_methods.py`, two CPU cores, the table's pair."
    )


def _gain(row: dict[str, Any] | None) -> str:
    if not row:
        return "Not measured; `python scripts/compare_methods.py` does."
    seeds = ", ".join(f"{100 * value:.1f}" for value in row["top1"])
    return (
        f"Top-1 {seeds} % by seed; {_difference(row)} points over the student alone. See the "
        "[table](README.md) for data and budget."
    )


def _difference(row: dict[str, Any]) -> str:
    if row["gain"] is None:
        return "no number (did not stay finite)"
    mean, low, high = (100 * value for value in row["gain"])
    return f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"


def _memory(cost: dict[str, Any]) -> str:
    return f"{cost['more_megabytes']:+.0f}"


def _table(cost: dict[str, Any], gains: dict[str, Any]) -> str:
    lines = [
        "# Methods",
        "",
        "One paper a file; loss and gradients of all but `dml` equal the authors' own code on "
        "golden values (`tests/parity/`). `kdk list methods NAME` prints a method's account; "
        "`python scripts/method_pages.py` makes these pages out of the code.",
        "",
        *_setting(gains),
        f"| {' | '.join(COLUMNS)} |",
        "| --- " * len(COLUMNS) + "|",
    ]
    order = sorted(methods.names(), key=lambda name: -gains.get(name, {}).get("mean", 0.0))
    lines += [_line(name, cost.get(name), gains.get(name)) for name in order]
    return "\n".join([*lines, ""])


def _line(name: str, cost: dict[str, Any] | None, gain: dict[str, Any] | None) -> str:
    method = methods.get(name)
    reads = "+".join(dict.fromkeys([*method.student_taps, *method.teacher_taps])) or "logits"
    cells = [
        f"[`{name}`]({name}.md)",
        methods.describe(name).rstrip("."),
        reads,
        f"{cost['ratio']:.2f}" if cost else "-",
        _memory(cost) if cost else "-",
        f"{gain['parameters']:,}" if gain else "-",
        f"{100 * gain['mean']:.1f}" if gain else "-",
        _difference(gain) if gain else "-",
    ]
    return f"| {' | '.join(cells)} |"


def _setting(gains: dict[str, Any]) -> list[str]:
    about = _read(COMPARISON).get("about")
    if not about:
        return []
    alone = gains["none"]
    seeds = ", ".join(f"{100 * value:.1f}" for value in alone["top1"])
    spreads = [100 * (max(row["top1"]) - min(row["top1"])) for row in gains.values()]
    return [
        f"{about['setting']} Student alone: {seeds} % by seed, {100 * alone['mean']:.1f} % in the "
        "mean. Gains are over the student alone of the same seeds; their interval is over images, "
        "for these seeds and this teacher. A method's seeds lie "
        f"{sum(spreads) / len(spreads):.1f} points apart in the mean, so neighbours in the table "
        "are not told apart. So short a training asks which method speeds up a start; the "
        "literature trains for 240 epochs. Every method has its paper's weights, none was tuned "
        "on these data.",
        "",
        "`simkd` deploys more than the student: a projector and the teacher's classifier. `mlkd` "
        "shows each image twice a step. "
        + "; ".join(f"`{k}` has `{v}`" for k, v in sorted(about["knobs"].items()))
        + ".",
        "",
    ]


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("<", "\\<")


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


if __name__ == "__main__":
    main()
