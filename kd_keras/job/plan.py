"""Who teaches whom in a run: the teachers, the assistants, the generations, the student.

Sources: teacher assistants, Mirzadeh et al. 2020, "Improved Knowledge Distillation via Teacher
Assistant", arXiv:1902.03393; generations of one architecture, Furlanello et al. 2018, "Born-Again
Neural Networks", arXiv:1805.04770. Both are chains in which each model learns from the one before.
"""

import dataclasses

import numpy as np

from kd_keras.job.recipe_files import Recipe


@dataclasses.dataclass(frozen=True)
class Trained:
    """One model of a run.

    Attributes:
        phase: that trains it.
        spec: of the model.
        seed: of its initialisation.
        methods: specs of those it learns by; none is plain training.
    """

    phase: str
    spec: str
    seed: int
    methods: tuple[str, ...] = ()


def teachers(asked: Recipe) -> list[Trained]:
    """The teachers: "teacher" if there is one, else "teacher-1" and so on, each of its own seed."""
    phases = _phases("teacher", len(asked.teacher))
    return [
        Trained(phase, spec, nth_seed(asked.seed, number))
        for number, (phase, spec) in enumerate(zip(phases, asked.teacher, strict=True), 1)
    ]


def rounds(asked: Recipe) -> list[list[Trained]]:
    """Who learns, round by round: from the one before, in the first from the teacher.

    The last round has the students, which learn at once; any other has one model. The first
    generation starts from the weights of the student alone.
    """
    assistants = [
        Trained(f"assistant-{number}", spec, asked.seed, asked.method)
        for number, spec in enumerate(asked.assistants, 1)
    ]
    generations = [
        Trained(
            f"generation-{number}", asked.student[0], nth_seed(asked.seed, number), asked.method
        )
        for number in range(1, asked.generations)
    ]
    return [*([model] for model in (*assistants, *generations)), students(asked)]


def models(asked: Recipe) -> list[Trained]:
    """All of a run's models in the order of their training; some may come from files."""
    learners = [model for group in rounds(asked) for model in group]
    return [*teachers(asked), *(baselines(asked) if asked.baseline else []), *learners]


def students(asked: Recipe) -> list[Trained]:
    """The students: "student" if there is one, else "student-1" and so on, all of one seed."""
    groups = [(method,) for method in asked.method] if asked.each_method else [asked.method]
    pairs = [(spec, methods) for spec in asked.student for methods in groups]
    return [
        Trained(phase, spec, nth_seed(asked.seed, asked.generations), methods)
        for phase, (spec, methods) in zip(_phases("student", len(pairs)), pairs, strict=True)
    ]


def baselines(asked: Recipe) -> list[Trained]:
    """Each student alone, once whatever it learns by: "baseline", or "baseline-1" and so on."""
    specs = list(dict.fromkeys(asked.student))
    phases = _phases("baseline", len(specs))
    return [Trained(phase, spec, asked.seed) for phase, spec in zip(phases, specs, strict=True)]


def _phases(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name}-{number}" for number in range(1, count + 1)]


def nth_seed(seed: int, number: int) -> int:
    """The run's seed for the first of several models; for a later one, another that follows."""
    if number == 1:
        return seed
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0] >> 1)
