"""Writes docs/methods/: one page per method, and a table of all methods in README.md.

A page has the docstring of the method's module, its knobs with their defaults, its needs and its
departures from the paper (attributes of its class), its cost from docs/methods_cost.json
(scripts/bench_methods.py), and its gain from docs/comparison.json or, for the newer methods, from
docs/comparison_newer.json (scripts/compare_methods.py). A test checks that pages and code match.

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
from kd_keras.methods.base import Method

DOCS = Path(__file__).parent.parent / "docs"
FOLDER = DOCS / "methods"
COST = DOCS / "methods_cost.json"
#: One table of gains for each setting, and the heading of the part of README.md that has it.
COMPARISON, NEWER = DOCS / "comparison.json", DOCS / "comparison_newer.json"
NEWER_HEADING = "Newer methods, at 32x32"
KNOB = re.compile(r"^    {4}([a-z_0-9, ]+): (.*(?:\n {12}.*)*)", re.MULTILINE)
COLUMNS = (
    *("method", "idea", "features it reads", "time per step (`kd` = 1)"),
    *("memory, MB more than `kd`", "parameters of the deployed model", "top-1 %, mean of seeds"),
    "gain over the student alone, points (95 % interval over images)",
)
#: What a method needs with the default recipe, whose teacher has one stage more than its student.
KNOBS = {
    "fsp": "project=true",
    "kdsvd": "project=true",
    "sdd": "teacher_tap=stage4",
    "simkd": "teacher_tap=stage4",
}
SHARED_KNOBS = {
    "weight": "factor of the method's loss in the whole one",
    "ce_weight": "factor of the cross-entropy in the loss, if this is the run's first method",
    "warmup": "share of the run over which `weight` grows linearly from 0",
    "tap": "name of the feature that the method reads in both models",
    "taps": "names of the features that the method reads in both models, shallow to deep",
    "student_tap": "its name in the student, if it differs from `tap`",
    "teacher_tap": "its name in the teacher, if it differs from `tap`",
    "student_taps": "their names in the student, if they differ from `taps`",
    "teacher_taps": "their names in the teacher, if they differ from `taps`",
    "first_stage": "share of the run in which only methods with a first stage are minimised",
    "main_stage_weight": "factor of the loss after the first stage",
}


def main() -> None:
    quiet.import_tensorflow()
    FOLDER.mkdir(exist_ok=True)
    texts = pages()
    for page in FOLDER.glob("*.md"):
        if page.name not in texts:
            page.unlink()
    for name, text in texts.items():
        (FOLDER / name).write_text(text)
    print(f"{len(texts)} pages in {FOLDER.relative_to(Path.cwd())}")


def pages() -> dict[str, str]:
    """The text of each page by its file name."""
    cost = _read(COST).get("methods", {})
    gains, newer = (
        {row["method"].partition(":")[0]: row for row in _read(path).get("rows", [])}
        for path in (COMPARISON, NEWER)
    )
    of_each = {**newer, **gains}
    return {
        "README.md": "\n".join([*_table(cost, gains), "", *_newer_table(newer), ""]),
        **{
            f"{name}.md": _page(name, cost.get(name), of_each.get(name)) for name in methods.names()
        },
    }


def _page(name: str, cost: dict[str, Any] | None, gain: dict[str, Any] | None) -> str:
    cls = type(methods.get(name))
    idea, formula, source = _account(cls)
    lines = [f"# `{name}`", "", idea, "", "## Formula", "", "```text", formula, "```", ""]
    lines += ["## Source and defaults", "", _escaped(source), ""]
    lines += ["| knob | default | meaning |", "| --- | --- | --- |", *_knobs(cls), ""]
    lines += ["## Needs", "", *(f"- {need}" for need in _needs(name)), ""]
    lines += ["## Cost", "", _cost(cost), "", "## Gain", "", _gain(gain), ""]
    lines += ["## Departures from the paper", "", _escaped(cls.departures or "None known."), ""]
    example = f"kdk train --method {name}{f':{KNOBS[name]}' if name in KNOBS else ''}"
    lines += ["## Use", "", "```bash", example, "```", "", "[All methods](README.md)", ""]
    return "\n".join(lines)


def _account(cls: type[Method]) -> tuple[str, str, str]:
    """Idea, formula and source, from the docstring of the method's module."""
    account = inspect.getdoc(inspect.getmodule(cls)) or ""
    text, _, source = account.partition("\n\nSource: ")
    idea, _, formula = text.partition("\n\n")
    return idea, formula, " ".join(source.split())


def _knobs(cls: type[Method]) -> Iterator[str]:
    meanings = {
        knob.strip(): " ".join(meaning.split())
        for knobs, meaning in KNOB.findall(cls.__doc__ or "")
        for knob in knobs.split(",")
    }
    for knob, default in cls.knobs().items():
        if knob != "name":
            meaning = SHARED_KNOBS.get(knob) or meanings.get(knob, "")
            yield f"| `{knob}` | {_value(default)} | {_escaped(meaning)} |"


def _value(default: Any) -> str:
    if isinstance(default, tuple):
        return f"`{'+'.join(map(str, default))}`"
    return f"`{default:.4g}`" if isinstance(default, float) else f"`{str(default).lower()}`"


def _needs(name: str) -> Iterator[str]:
    method = methods.get(name)
    if method.needs_teacher_model:
        yield "the teacher itself: its cached outputs are not enough"
    else:
        yield "no teacher" if method.teacher_free else "a teacher, or its cached outputs"
    taps = method.student_taps, method.teacher_taps
    student, teacher = (", ".join(f"`{t}`" for t in names) for names in taps)
    if student:
        same = student == teacher
        yield f"taps {student} of both models" if same else f"taps {student} of the student"
        if not same and teacher:
            yield f"taps {teacher} of the teacher"
    else:
        yield "no taps: logits only"
    if method.min_classes > 2:
        yield f"{method.min_classes} classes or more"
    if method.needs_labels:
        one_class = ", one class for each image: mixed images are refused"
        yield f"labels{one_class if method.needs_one_class else ''}"
    if not method.supports_multi_label:
        yield "one class for each image, not several (`--label-mode multi`)"
    if method.needs_ids:
        yield "each example's id"
    if method.views_per_image > 1:
        yield f"{method.views_per_image} views of each image"
    if method.needs_whole_batch:
        yield "whole batches: they are gathered over replicas, and sample weights are refused"
    if method.first_stage:
        yield f"a first stage of {method.first_stage:.3g} of the run, which `fit` runs by itself"


def _cost(cost: dict[str, Any] | None) -> str:
    if not cost:
        return "Not measured. Run `python scripts/bench_methods.py`."
    memory = cost["more_megabytes"]
    return (
        f"A step takes {cost['ratio']:.2f} times as long as with `kd` and needs {abs(memory):.0f} "
        f"MB {'less' if memory < 0 else 'more'} memory. The method has {cost['weights']:,} weights "
        f"of its own, of which {cost['trained']:,} are trained. Measured by `python "
        "scripts/bench_methods.py` on two CPU cores, with the models of the [table](README.md)."
    )


def _gain(row: dict[str, Any] | None) -> str:
    if not row:
        return "Not measured. Run `python scripts/compare_methods.py`."
    seeds = ", ".join(f"{100 * value:.1f}" for value in row["top1"])
    return (
        f"Top-1 accuracy by seed: {seeds} %. Difference from the student trained alone: "
        f"{_difference(row)} points (95 % interval over images). The [table](README.md) has the "
        "data and the budget."
    )


def _difference(row: dict[str, Any]) -> str:
    if row["gain"] is None:
        return "none (the loss did not stay finite)"
    mean, low, high = (100 * value for value in row["gain"])
    return f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"


def _table(cost: dict[str, Any], gains: dict[str, Any]) -> list[str]:
    lines = [
        "# Methods",
        "",
        "Start with `kd`: it reads only logits, so it works with any two classifiers of the same "
        "classes, and few methods cost less. Then compare it, on your own data, with methods from "
        "the top of the table whose features your models have: `logits` and `pooled` suit most "
        "models, and `stageN` needs feature maps.",
        "",
        "Loss and gradients of all methods but `dml`, `embed` and `hard` match the authors' code, "
        "or the field's reference port of it, on reference values (`tests/parity/`). A `-` in the "
        "table was not measured. `kdk list methods NAME` prints a method's description. `python "
        "scripts/method_pages.py` writes these pages.",
        "",
        *_setting(gains),
        f"| {' | '.join(COLUMNS)} |",
        "| --- " * len(COLUMNS) + "|",
    ]
    order = sorted(methods.names(), key=lambda name: -gains.get(name, {}).get("mean", 0.0))
    lines += [_line(name, cost.get(name), gains.get(name)) for name in order]
    return lines


def _newer_table(gains: dict[str, Any]) -> list[str]:
    """The gains of the methods that are in no other table, beside three that are in both."""
    alone = gains["none"]
    return [
        f"## {NEWER_HEADING}",
        "",
        f"{_read(NEWER)['about']['setting']} Seed 0. Student alone: {100 * alone['mean']:.1f} %. "
        "Machine: two cores of an AMD EPYC without AMX. `kd`, `lskd` and `dist` are there to "
        "compare with the table above. All methods have the weights of their papers, which train "
        "for 240 epochs. `crld` shows each image twice in a step, both times with the "
        "`light` augmentation; its authors use RandAugment for the second view.",
        "",
        "| method | top-1 % | gain over the student alone, points (95 % interval over images) |",
        "| --- | --- | --- |",
        *(
            f"| [`{name}`]({name}.md) | {100 * row['mean']:.1f} | {_difference(row)} |"
            for name, row in gains.items()
            if name != "none"
        ),
    ]


def _line(name: str, cost: dict[str, Any] | None, gain: dict[str, Any] | None) -> str:
    method = methods.get(name)
    reads = ", ".join(dict.fromkeys([*method.student_taps, *method.teacher_taps])) or "logits"
    cells = [
        f"[`{name}`]({name}.md)",
        methods.describe(name).rstrip("."),
        reads,
        f"{cost['ratio']:.2f}" if cost else "-",
        f"{cost['more_megabytes']:+.0f}" if cost else "-",
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
        "mean. Gains are over the student alone with the same seeds. Their interval is over "
        "images, for these seeds and this teacher. The seeds of one method differ by "
        f"{sum(spreads) / len(spreads):.1f} points on average, so the order of neighbours in the "
        "table is not certain. So short a run shows which method speeds up the start of training; "
        "the literature trains for 240 epochs. All methods have the weights of their papers. None "
        "was tuned on these data.",
        "",
        "`simkd` deploys more than the student: a projector and the teacher's classifier. `mlkd` "
        "shows each image twice in a step. Knobs that differ from their defaults: "
        + ", ".join(f"`{k}:{v}`" for k, v in sorted(about["knobs"].items()))
        + ".",
        "",
    ]


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("<", "\\<")


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


if __name__ == "__main__":
    main()
