"""Reports loss terms whose gradient is zero, or much smaller than another term's."""

import itertools
from collections.abc import Collection, Mapping, Sequence
from statistics import median
from typing import Any

FAR = 100  # times another term's gradient is too much


def sentences(
    measurements: Sequence[Mapping[str, float]], *, exempt_terms: Collection[str] = ()
) -> list[str]:
    """A sentence for each term without a gradient, and one if a norm is `FAR` times another.

    A term counts as without a gradient if it was 0 in every measurement. Others are compared by the
    medians of their measurements in which both were minimised, so that neither a warm-up nor the
    last steps of a training without errors decide.

    Args:
        measurements: norms by term, from `gradient_norms.norms`, one mapping a measurement.
        exempt_terms: terms that are meant to have none, from `switched_off`.
    """
    terms = [name for name in (measurements[0] if measurements else {}) if name not in exempt_terms]
    still_terms = [name for name in terms if not any(norms[name] for norms in measurements)]
    lines = [_no_gradient_sentence(name) for name in still_terms]
    ratios = {}
    moving_terms = [name for name in terms if name not in still_terms]
    for first, second in itertools.combinations(moving_terms, 2):
        pairs = [(norms[first], norms[second]) for norms in measurements]
        pairs = [pair for pair in pairs if all(pair)]
        if pairs:
            one_norm, other_norm = (median(values) for values in zip(*pairs, strict=True))
            ratios[one_norm / other_norm] = (first, second, one_norm, other_norm)
            ratios[other_norm / one_norm] = (second, first, other_norm, one_norm)
    if ratios and max(ratios) >= FAR:
        lines.append(_too_small(*ratios[max(ratios)]))
    return lines


def switched_off(distiller: Any, *, measurements: int) -> set[str]:
    """Terms that need no gradient: their weight is 0, or they train in a first stage alone.

    A single measurement is that of the run's end, at which the losses of some methods are 0. With
    unknown labels, the batch that is measured may have no known one.

    Args:
        distiller: the Distiller that was trained.
        measurements: how often its gradient norms were measured.
    """
    term_names = {method.name for method in distiller.methods if not float(method.weight)}
    term_names |= {m.name for m in distiller.methods if getattr(m, "main_stage_weight", 1) == 0}
    if measurements == 1:
        term_names |= {m.name for m in distiller.methods if getattr(m, "ends_at_zero", False)}
    # Of a batch in which no label is known, the cross-entropy is 0.
    by_chance = getattr(distiller, "ignore_class", None) is not None
    return term_names | ({"ce"} if by_chance or not distiller.ce_weight else set())


def _no_gradient_sentence(name: str) -> str:
    if name == "ce":
        return (
            "the cross-entropy with the labels has no gradient: the student learns nothing from "
            "the labels. Check that the student's layers are trainable and that its outputs are "
            "not constant."
        )
    return (
        f"{name} has no gradient: the student learns nothing from it. Check that the layers before "
        f"the features that {name} reads are trainable, and that student and teacher differ there."
    )


def _too_small(strong_term: str, weak_term: str, strong_norm: float, weak_norm: float) -> str:
    option, other_option = (
        "ce_weight, --ce-weight" if name == "ce" else f"weight=…, --method {name}:weight=…"
        for name in (weak_term, strong_term)
    )
    return (
        f"the gradient of {strong_term} is {strong_norm / weak_norm:,.0f} times that of "
        f"{weak_term} (medians {strong_norm:.2g} and {weak_norm:.2g}), so that {weak_term} has "
        f"almost no effect. Raise the weight of {weak_term} ({option}) or lower that of "
        f"{strong_term} ({other_option}); a weight of 0 leaves {weak_term} out."
    )
