"""A classifier's logits and probabilities, computed from whichever its file gives."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

#: Smallest normal float32, as in `kd_keras.losses`, which imports Keras: its log is finite.
_TINY = np.finfo(np.float32).tiny
# How far the sum of a row of probabilities may be from 1; 8-bit probabilities are rounded.
SUM_TOLERANCE = 1e-3


class Scores(NamedTuple):
    """Logits and probabilities, both float32 (B, classes).

    Logits that were computed from probabilities are their logarithms.
    """

    logits: np.ndarray
    probabilities: np.ndarray


def from_outputs(
    outputs: Mapping[str, np.ndarray], *, rounding: float = 0.0, multi_label: bool = False
) -> Scores:
    """The scores in a model's outputs.

    Args:
        outputs: by name, float (B, classes): "logits", "probabilities" or both; otherwise the only
            output, which counts as probabilities if all values are in 0..1 and rows sum to 1. One
            column is the second class's probability, from a sigmoid.
        rounding: largest rounding error of a value, for outputs that were 8-bit numbers.
        multi_label: whether an image may have several classes: probabilities are those of sigmoids,
            and the only output counts as probabilities if all values are in 0..1.

    Raises:
        ValueError: the outputs are not those of a classifier.
    """
    logits, probabilities = outputs.get("logits"), outputs.get("probabilities")
    if logits is None and probabilities is None:
        if len(outputs) != 1:
            raise ValueError(
                f"the model gives {', '.join(sorted(outputs))}; expected an output named logits "
                "or probabilities, or just one. Export it with its logits only."
            )
        (output,) = outputs.values()
        output = _checked_output(output) if multi_label else _two_columns(_checked_output(output))
        in_range = bool(np.all((output >= 0) & (output <= 1)))
        if in_range if multi_label else _are_probabilities(output, rounding):
            probabilities = output
        else:
            logits = output
    return (
        _of_sigmoids(logits, probabilities)
        if multi_label
        else _complete_scores(logits, probabilities)
    )


def _complete_scores(logits: np.ndarray | None, probabilities: np.ndarray | None) -> Scores:
    if logits is None:
        assert probabilities is not None
        probabilities = _checked_output(probabilities)
        return Scores(np.log(np.maximum(probabilities, _TINY)), probabilities)
    logits = _checked_output(logits)
    if probabilities is None:
        exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
        probabilities = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return Scores(logits, _checked_output(probabilities))


def _of_sigmoids(logits: np.ndarray | None, probabilities: np.ndarray | None) -> Scores:
    if logits is None:
        assert probabilities is not None
        probabilities = _checked_output(probabilities)
        # The largest float32 below 1: the sigmoid of 17 or more rounds to 1, with infinite logit.
        p = np.clip(probabilities, _TINY, np.float32(1 - 2**-24))
        return Scores(np.log(p) - np.log(1 - p), probabilities)
    logits = _checked_output(logits)
    if probabilities is None:
        probabilities = np.exp(-np.logaddexp(0, -logits)).astype(np.float32)
    return Scores(logits, _checked_output(probabilities))


def _checked_output(output: np.ndarray) -> np.ndarray:
    if output.ndim != 2:
        raise ValueError(
            f"the model gives an output of shape {output.shape}; expected (images, classes). Use "
            "an image classifier."
        )
    return np.asarray(output, np.float32)


def _two_columns(output: np.ndarray) -> np.ndarray:
    """Two columns for the one column of a sigmoid."""
    if output.shape[1] > 1:
        return output
    if not np.all((output >= 0) & (output <= 1)):
        raise ValueError(
            "the model gives one output that is not a probability; expected an output for each "
            "class."
        )
    return np.concatenate([1 - output, output], axis=1)


def _are_probabilities(output: np.ndarray, rounding: float) -> bool:
    tolerance = max(SUM_TOLERANCE, rounding * output.shape[1])
    in_range = bool(np.all(output >= 0) and np.all(output <= 1))
    return in_range and bool(np.all(np.abs(output.sum(axis=-1) - 1) <= tolerance))
