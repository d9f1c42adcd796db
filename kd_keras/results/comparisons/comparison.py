"""Compares models that were measured on the same images: means over seeds, paired tests, fronts."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np

from kd_keras.results.metrics import multi_label, pareto, statistics
from kd_keras.results.metrics.main_score import MAP, TOP1, Score

#: Costs that the fronts are drawn against, in `Model.costs`.
MILLISECONDS, MEGABYTES = "milliseconds_batch1", "megabytes"


@dataclasses.dataclass(frozen=True, eq=False)
class Model:
    """A measured model of a run.

    Attributes:
        run: path of the run folder.
        phase: its phase in that run.
        seed: the run's seed.
        correct: bool (N,), whether it is right on each validation image; of multi-label data, for
            each of the classes.
        parameters: number of weights.
        costs: `MILLISECONDS` (per image, batch 1) and `MEGABYTES` (of its SavedModel); None if
            unknown.
        architecture: hash of its layers, or None; models of one architecture share their costs.
        alone: the same student trained without a teacher, in the same run; None if there is none.
        answers: (N, C) labels and (N, C) scores of multi-label data, whose mAP is compared; None:
            `correct` is compared.
    """

    run: str
    phase: str
    seed: int
    correct: np.ndarray
    parameters: int
    costs: Mapping[str, float | None]
    architecture: str | None = None
    alone: "Model | None" = None
    answers: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def score(self) -> Score:
        """What it is compared by."""
        return TOP1 if self.answers is None else MAP

    @functools.cached_property
    def value(self) -> float:
        """Its top-1 accuracy or mAP, 0 to 1."""
        if self.answers is None:
            return float(self.correct.mean())
        return multi_label.mean_average_precision(*self.answers)

    def interval(self) -> tuple[float, float]:
        """The 95 % interval of `value` over images: Wilson's, of mAP the bootstrap's."""
        if self.answers is None:
            return statistics.share_interval(int(self.correct.sum()), len(self.correct))
        return multi_label.interval(*self.answers, seed=0)


@dataclasses.dataclass(frozen=True)
class Group:
    """Models that differ in their seed only.

    Attributes:
        name: name of the group, unique.
        role: "student", "baseline" or "teacher".
        models: one for each seed.
    """

    name: str
    role: str
    models: Sequence[Model]


def measurements(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """The accuracy, costs and front of each group.

    Returns:
        For each group `name`, `role`, `runs`, `seeds`, `each_top1`; `top1`, its mean (of
        multi-label data `each_map` and `map`), with the interval `low` to `high` `over` "seeds"
        (Student's t) or, for one seed, "images" (Wilson; of mAP, bootstrap);
        `gain` over the student alone, as `difference`, or None; `parameters`, the costs, and
        `front`: by cost, whether it is on the front. Accuracies are fractions, intervals 95 %.
    """
    entries = [
        _group_rows(group, costs) for group, costs in zip(groups, _costs(groups), strict=True)
    ]
    key = groups[0].models[0].score.key
    accuracies = [entry[key] for entry in entries]
    fronts = {
        cost: pareto.front(accuracies, [entry[cost] for entry in entries])
        for cost in (MILLISECONDS, MEGABYTES)
    }
    return [
        entry | {"front": {cost: is_on_front[index] for cost, is_on_front in fronts.items()}}
        for index, entry in enumerate(entries)
    ]


def differences(groups: Sequence[Group], *, seed: int = 0) -> list[dict[str, Any]]:
    """Each further group of students compared with the first one.

    Args:
        groups: groups of students, two or more, measured on the same images.
        seed: seed of the bootstrap.

    Returns:
        For each further group `group`, `other` (the first one's name), `seeds` (of both groups),
        `difference` with `low`, `high` and `over`, and `paired`. Groups of the same seeds are
        paired by seed. Other groups of two or more models each are compared by Welch's interval
        over all of their models (`paired` is False). A group of one model is compared over images
        with the model of the same seed, or with the first one. `pairs` has each pair of models of
        one seed compared over images, by McNemar's exact test too; `p_holm` is adjusted for the
        number of all pairs.
    """
    first, *other_groups = groups
    entries = [_compare_groups(group, first, seed) for group in other_groups]
    pairs = [pair for entry in entries for pair in entry["pairs"]]
    if any(pair["p"] is None for pair in pairs):  # of multi-label data, there is no test
        for pair in pairs:
            pair["p_holm"] = None
        return entries
    for pair, p_holm in zip(pairs, statistics.holm([pair["p"] for pair in pairs]), strict=True):
        pair["p_holm"] = p_holm
    return entries


def difference(pairs: Sequence[tuple[Model, Model]], *, seed: int = 0) -> dict[str, Any]:
    """The mean difference in top-1 of pairs of models, the first of each minus the second.

    Args:
        pairs: pairs of models, measured on the same images.
        seed: seed of the bootstrap.

    Returns:
        `difference` with the interval `low` to `high` `over` "seeds" (Student's t, of two or more
        pairs) or, for one pair, "images" (bootstrap); `paired`, True; and `pairs`, with each
        pair's `runs`, `seeds`, `difference`, `low`, `high`, `only` and `only_other` (images that
        only one of the two has right) and `p` (McNemar); these are None of multi-label data.
    """
    entries = [_pair(first, second, seed) for first, second in pairs]
    if len(entries) == 1:
        interval = {name: entries[0][name] for name in ("difference", "low", "high")}
        return {**interval, "over": "images", "paired": True, "pairs": entries}
    mean, low, high = statistics.paired_interval([pair["difference"] for pair in entries])
    interval = {"difference": mean, "low": low, "high": high}
    return {**interval, "over": "seeds", "paired": True, "pairs": entries}


def _pair(first: Model, second: Model, seed: int) -> dict[str, Any]:
    only_first: int | None
    only_second: int | None
    p_value: float | None
    if first.answers is not None and second.answers is not None:
        (labels, scores), (_, second_scores) = first.answers, second.answers
        mean, low, high = multi_label.difference(labels, scores, second_scores, seed=seed)
        only_first = only_second = p_value = None
    else:
        mean, low, high = statistics.bootstrap_interval(first.correct, second.correct, seed)
        only_first, only_second, p_value = statistics.mcnemar(first.correct, second.correct)
    return {
        **{"runs": [first.run, second.run], "seeds": [first.seed, second.seed]},
        **{"difference": mean, "low": low, "high": high},
        **{"only": only_first, "only_other": only_second, "p": p_value},
    }


def _compare_groups(group: Group, other: Group, seed: int) -> dict[str, Any]:
    """The entry of `differences` for two groups."""
    seeds = [sorted(model.seed for model in side.models) for side in (group, other)]
    names = {"group": group.name, "other": other.name, "seeds": seeds}
    pairs = _pairs(group, other)
    if min(map(len, seeds)) < 2:
        return {**names, **difference([*pairs, (group.models[0], other.models[0])][:1], seed=seed)}
    if seeds[0] == seeds[1] == sorted(set(seeds[0])):
        return {**names, **difference(pairs, seed=seed)}
    accuracies = [[model.value for model in side.models] for side in (group, other)]
    mean, low, high = statistics.welch_interval(*accuracies)
    interval = {"difference": mean, "low": low, "high": high, "over": "seeds", "paired": False}
    return {**names, **interval, "pairs": [_pair(one, two, seed) for one, two in pairs]}


def _pairs(group: Group, other: Group) -> list[tuple[Model, Model]]:
    """Models of the two groups with the same seed, in the order of the seeds."""
    by_seed = {model.seed: model for model in reversed(other.models)}
    pairs = {m.seed: (m, by_seed[m.seed]) for m in reversed(group.models) if m.seed in by_seed}
    return [pairs[seed] for seed in sorted(pairs)]


def _group_rows(group: Group, costs: Mapping[str, float | None]) -> dict[str, Any]:
    values, key = [model.value for model in group.models], group.models[0].score.key
    if len(values) > 1:
        mean, low, high = statistics.paired_interval(values)
        low, high = max(low, 0.0), min(high, 1.0)  # an interval of Student's t has no bounds
    else:
        mean = values[0]
        low, high = group.models[0].interval()
    pairs = [(model, model.alone) for model in group.models if model.alone is not None]
    return {
        **{"name": group.name, "role": group.role},
        "runs": [model.run for model in group.models],
        "seeds": [model.seed for model in group.models],
        f"each_{key}": values,
        **{key: mean, "low": low, "high": high},
        "over": "seeds" if len(values) > 1 else "images",
        "gain": difference(pairs) if pairs else None,
        "parameters": group.models[0].parameters,
        **costs,
    }


def _costs(groups: Sequence[Group]) -> list[dict[str, float | None]]:
    """The costs of each group: the median over all measured models of its architecture.

    Two measurements of one network differ by chance, which must not decide who is on a front.
    """
    by_architecture: dict[Any, list[Model]] = {}
    for group in groups:
        for model in group.models:
            by_architecture.setdefault(_network(model, group), []).append(model)
    return [
        {
            cost: _median(
                m.costs.get(cost) for m in by_architecture[_network(group.models[0], group)]
            )
            for cost in (MILLISECONDS, MEGABYTES)
        }
        for group in groups
    ]


def _network(model: Model, group: Group) -> str:
    return model.architecture or f"group {group.name}"


def _median(values: Any) -> float | None:
    known_values = [value for value in values if value is not None]
    return median(known_values) if known_values else None
