"""The score that models of a run are compared by: top-1 accuracy, or mAP of multi-label data."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from kd_keras.data.stores.store import Dataset


class Score(NamedTuple):
    """A score, 0 to 1, of which more is better.

    Attributes:
        key: its name in results.json.
        second: that of the score which is shown beside it.
        name, second_name: what people call the two.
        title: its name on axes and in headings.
        better, worse: words for a model with more, and with less of it.
    """

    key: str
    second: str
    name: str
    second_name: str
    title: str
    better: str
    worse: str


TOP1 = Score("top1", "top5", "top-1", "top-5", "top-1 accuracy", "more accurate", "less accurate")
MAP = Score("map", "f1", "mAP", "F1", "mean average precision", "better", "worse")


def score_of_data(data: "Dataset") -> Score:
    """The score for models of a dataset."""
    return MAP if data.validation.multi_label else TOP1


def score_of_results(results: Mapping[str, Any]) -> Score:
    """The score in results.json, or in a mapping of its entries by phase."""
    entries = [entry for entry in results.values() if isinstance(entry, Mapping)]
    return MAP if any(MAP.key in entry for entry in entries) else TOP1


def score_of_groups(groups: Sequence[Mapping[str, Any]]) -> Score:
    """The score of entries that have it by its key, such as groups of a comparison."""
    return MAP if any(MAP.key in group for group in groups) else TOP1
