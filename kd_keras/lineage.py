"""Who teaches whom in a run: the teachers, the assistants, the generations, the student.

Sources: teacher assistants, Mirzadeh et al. 2020, "Improved Knowledge Distillation via Teacher
Assistant", arXiv:1902.03393; generations of one architecture, Furlanello et al. 2018, "Born-Again
Neural Networks", arXiv:1805.04770. Both are chains in which each model learns from the one before.
"""

import dataclasses

import numpy as np

from kd_keras.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Trained:
    """One model of a run: the phase that trains it, its spec, the seed of its initialisation."""

    phase: str
    spec: str
    seed: int


def teachers(asked: Recipe) -> list[Trained]:
    """The teachers: "teacher" if there is one, else "teacher-1" and so on, each of its own seed."""
    phases = ["teacher"]
    if len(asked.teacher) > 1:
        phases = [f"teacher-{number}" for number, _ in enumerate(asked.teacher, 1)]
    return [
        Trained(phase, spec, nth_seed(asked.seed, number))
        for number, (phase, spec) in enumerate(zip(phases, asked.teacher, strict=True), 1)
    ]


def learners(asked: Recipe) -> list[Trained]:
    """Who learns, in order, each from the one before and the first from the teacher.

    The first generation starts from the weights of the student alone; the last is the student.
    """
    assistants = [
        Trained(f"assistant-{number}", spec, asked.seed)
        for number, spec in enumerate(asked.assistants, 1)
    ]
    generations = [
        Trained(f"generation-{number}", asked.student, nth_seed(asked.seed, number))
        for number in range(1, asked.generations + 1)
    ]
    return [*assistants, *generations[:-1], dataclasses.replace(generations[-1], phase="student")]


def nth_seed(seed: int, number: int) -> int:
    """The run's seed for the first of several models; for a later one, another that follows."""
    if number == 1:
        return seed
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0] >> 1)
