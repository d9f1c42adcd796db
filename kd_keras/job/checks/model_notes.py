"""Lines on models that can be trained, but probably not as intended; the run shows each once."""

import itertools
from collections.abc import Iterator, Mapping, Sequence

from kd_keras.distill.checks import pair_warnings
from kd_keras.distill.distiller import Distiller
from kd_keras.results.phase_names import display_name


def of_rounds(rounds: Sequence[Mapping[str, Distiller]]) -> list[str]:
    """Lines on the models that learn from a teacher.

    Args:
        rounds: Distillers by phase for each of `plan.rounds`; the first model of a round is the
            teacher of the next.
    """
    teachers = ["teacher", *(next(iter(distillers)) for distillers in rounds)]
    pairs = zip(rounds, teachers, strict=False)
    lines = (
        _lines(phase, d, taught_by) for group, taught_by in pairs for phase, d in group.items()
    )
    return list(dict.fromkeys(itertools.chain.from_iterable(lines)))


def _lines(phase: str, distiller: Distiller, taught_by: str) -> Iterator[str]:
    """Notes on one student.

    Args:
        phase: the phase of the student.
        distiller: the student with its teacher.
        taught_by: the teacher's phase.
    """
    name, student, teacher = display_name(phase), distiller.student, distiller.teacher
    if dtype := pair_warnings.half_precision(student, precision=distiller.precision):
        yield (
            f"{name} gives its logits in {dtype}, rounded to 3 digits, in training and in what is "
            "saved; make the model with a last layer of dtype='float32'"
        )
    if activation := pair_warnings.limiting_activation(student):
        yield (
            f"{name} ends in {activation!r}, so that its logits cannot take every value; make the "
            "model without a last activation"
        )
    if teacher is None:
        return
    if sizes := pair_warnings.sizes_of_larger_student(student, teacher):
        yield (
            f"{name} has {sizes[0]:,} parameters, more than the {sizes[1]:,} of its teacher "
            f"({display_name(taught_by)}); check that the two models are not exchanged"
        )
    if layers := pair_warnings.augmenting_layers(student):
        yield (
            f"{name} changes its images at random inside itself ({layers}), so that its teacher "
            "sees different images; remove these layers and use --augment"
        )
