"""A comparison in words and tables, for a terminal of 80 columns."""

from collections.abc import Mapping
from typing import Any

from kd_keras.results.comparisons.comparison import MEGABYTES, MILLISECONDS
from kd_keras.results.metrics import main_score
from kd_keras.results.metrics.statistics import SIGNIFICANCE_LEVEL
from kd_keras.results.terminal.screen import Screen

_COST_NAMES = {MILLISECONDS: "time", MEGABYTES: "size"}


def verdict(document: Mapping[str, Any]) -> list[str]:
    """Sentences on each difference, and on the models that no other beats.

    Args:
        document: what `compare` returns, without "verdict".
    """
    has_several_tests = sum(len(entry["pairs"]) for entry in document["differences"]) > 1
    lines = [_difference(entry, document, has_several_tests) for entry in document["differences"]]
    fronts: dict[str, list[str]] = {}
    for cost, words in _COST_NAMES.items():
        front_names = [group["name"] for group in document["groups"] if group["front"][cost]]
        fronts.setdefault(", ".join(front_names), []).append(words)
    return lines + [
        f"On the front of accuracy against {' and '.join(words)}: {names} (no other model is "
        "better in both)."
        for names, words in fronts.items()
        if names
    ]


def show(document: Mapping[str, Any], screen: Screen) -> None:
    """Shows the comparison."""
    data, groups = document["data"], document["groups"]
    score = main_score.score_of_groups(groups)
    interval = f"{score.name} %\n(95 % interval)"
    columns = ("model", "seeds", interval, "gain", "ms", "MB", "front")
    title = f"Accuracy on the {data['images']:,} validation images of {data['dataset']}"
    screen.table(title, columns, [_row(group) for group in groups])
    seeds = any(group["over"] == "seeds" for group in groups)
    images = any(group["over"] == "images" for group in groups)
    interval_source = "over seeds" if seeds else "over images"
    interval_source += ", over images for one seed" if seeds and images else ""
    screen.result(
        f"intervals: {interval_source}. gain: points over the student alone. ms: per image, batch "
        "1. front: no other model is better in both accuracy and time (t) or size (s)."
    )
    if document["differences"]:
        screen.result("")
        title = f"Difference in {score.name} to {document['differences'][0]['other']}, points"
        heads = ["model", "seeds", "difference\n(95 % interval)", "right\nalone", "p", "p, Holm"]
        rows = [row for entry in document["differences"] for row in difference_rows(entry)]
        shown_columns = len(heads) if len(rows) > 1 else len(heads) - 1  # one test adjusts nothing
        if score is main_score.MAP:  # which has no test
            shown_columns = 3
        screen.table(title, heads[:shown_columns], [row[:shown_columns] for row in rows])
    if document["differences"] and score is not main_score.MAP:
        screen.result(
            "right alone: images that only this model / only the other predicts right. p: "
            "McNemar's "
            "exact test over images; Holm's is adjusted for the number of tests."
        )
    screen.result("")
    for field, values in document["fields"].items():
        value_list = "; ".join(f"{format_value(value)} ({name})" for name, value in values.items())
        screen.result(f"recipes differ in {field}: {value_list}")
    for note in document["notes"]:
        screen.warn(note)
    for line in document["verdict"]:
        screen.result(line)


def difference_rows(entry: Mapping[str, Any]) -> list[list[str | None]]:
    """The lines of a table for an entry of `comparison.differences`: the mean, then each pair."""
    rows = []
    if entry["over"] == "seeds":
        mean = [entry["group"], _seeds(entry, " / "), points(entry)]
        rows.append([*mean, None, None, None])
    for pair in entry["pairs"]:
        has_one_seed = pair["seeds"][0] == pair["seeds"][1]
        seeds = str(pair["seeds"][0]) if has_one_seed else " / ".join(map(str, pair["seeds"]))
        name = f"  seed {seeds}" if entry["over"] == "seeds" else entry["group"]
        has_test = pair["p"] is not None
        right_alone = f"{pair['only']} / {pair['only_other']}" if has_test else None
        tests = [probability(pair[name]) if has_test else None for name in ("p", "p_holm")]
        rows.append([name, None if rows else seeds, points(pair), right_alone, *tests])
    return rows


def points(entry: Mapping[str, Any]) -> str:
    """A difference with its interval in points: "+1.2 (+0.3 to +2.1)"."""
    return f"{_points(entry['difference'])} ({_points(entry['low'])} to {_points(entry['high'])})"


def probability(value: float) -> str:
    """A p-value with three digits after the point."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def format_value(value: Any) -> str:
    """A value of a recipe's field as people write it."""
    if isinstance(value, (list, tuple)):
        return " + ".join(map(str, value)) or "none"
    return (
        "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    )


def front(group: Mapping[str, Any]) -> str:
    """ "t", "s" or "t s" for a group on the front of accuracy against time or size."""
    return " ".join(
        _COST_NAMES[cost][0] for cost, is_on_front in group["front"].items() if is_on_front
    )


def _row(group: Mapping[str, Any]) -> list[str | None]:
    value = 100 * group[main_score.score_of_groups([group]).key]
    score_text = f"{value:.1f} ({100 * group['low']:.1f} to {100 * group['high']:.1f})"
    gain = _points(group["gain"]["difference"]) if group["gain"] else None
    times, size = group[MILLISECONDS], group[MEGABYTES]
    return [
        *(group["name"], str(len(group["seeds"])), score_text, gain),
        *(None if times is None else f"{times:.3g}", None if size is None else f"{size:.2f}"),
        front(group) or None,
    ]


def _difference(
    entry: Mapping[str, Any], document: Mapping[str, Any], has_several_tests: bool
) -> str:
    group, other, pairs = entry["group"], entry["other"], entry["pairs"]
    images, score = (
        f"{document['data']['images']:,} images",
        main_score.score_of_groups(document["groups"]),
    )
    interval_source = f"{_seeds(entry, ' and ')} seeds" if entry["over"] == "seeds" else images
    numbers = (
        f"{_points(entry['difference'])} points of {score.name}, 95 % interval "
        f"{_points(entry['low'])} to {_points(entry['high'])} over {interval_source}"
    )
    is_significant, scope, repeat = True, "", ""
    if entry["over"] == "images":
        scope = f" with seed {' against '.join(map(str, dict.fromkeys(pairs[0]['seeds'])))}"
        repeat = " Repeat with more seeds (--seed) to compare the methods."
        p_value = pairs[0]["p_holm" if has_several_tests else "p"]
        test_name = "McNemar, Holm" if has_several_tests else "McNemar"
        if p_value is not None:
            numbers += f", p {'' if p_value < 0.001 else '= '}{probability(p_value)} ({test_name})"
            is_significant = p_value < SIGNIFICANCE_LEVEL
    if is_significant and entry["low"] > 0:
        return f"{group} is {score.better} than {other}{scope} ({numbers}).{repeat}"
    if is_significant and entry["high"] < 0:
        return f"{group} is {score.worse} than {other}{scope} ({numbers}).{repeat}"
    return (
        f"There is no measurable difference between {group} and {other}{scope} ({numbers}). Repeat "
        "with more seeds (--seed) to tell them apart."
    )


def _seeds(entry: Mapping[str, Any], separator: str) -> str:
    """How many seeds the two groups have: "3", or "3 / 2" if they are not paired."""
    numbers = [str(len(seeds)) for seeds in entry["seeds"]]
    return numbers[0] if entry["paired"] else separator.join(numbers)


def _points(fraction: float) -> str:
    return f"{100 * fraction:+.1f}"
