"""The models of a run and their order: teachers, baselines, assistants, generations, students.

Sources: teacher assistants, Mirzadeh et al. 2020, "Improved Knowledge Distillation via Teacher
Assistant", arXiv:1902.03393; generations of one architecture, Furlanello et al. 2018, "Born-Again
Neural Networks", arXiv:1805.04770. Both are chains in which each model learns from the one before.
"""

import dataclasses
from typing import Literal

import numpy as np

from kd_keras.job.recipe.recipe_files import Recipe

Role = Literal["teacher", "baseline", "assistant", "generation", "student"]


@dataclasses.dataclass(frozen=True)
class PlannedModel:
    """One model of a run, before it is built.

    Attributes:
        role: what the model is for. A baseline is a student that is trained without a teacher.
        phase: name of the model's phase, unique in the run: the role, with a number if there are
            several models of that role.
        spec: the model's spec.
        seed: seed of the model's initial weights.
        methods: specs of the methods that train the model; empty for plain training.
    """

    role: Role
    phase: str
    spec: str
    seed: int
    methods: tuple[str, ...] = ()


def teachers(recipe: Recipe) -> list[PlannedModel]:
    """The teachers: "teacher" if there is one, else "teacher-1" and so on, with a seed each."""
    phases = _phases("teacher", len(recipe.teacher))
    return [
        PlannedModel("teacher", phase, spec, nth_seed(recipe.seed, number))
        for number, (phase, spec) in enumerate(zip(phases, recipe.teacher, strict=True), 1)
    ]


def mean_of_teachers(recipe: Recipe) -> PlannedModel:
    """The mean of several teachers' logits, which is what the first round learns from."""
    return PlannedModel("teacher", "teacher", " + ".join(recipe.teacher), recipe.seed)


def rounds(recipe: Recipe) -> list[list[PlannedModel]]:
    """The models that learn, in rounds; the first round learns from the teacher.

    Each later round learns from the round before. The last round has the students, which are
    trained side by side; any other round has one model. The first generation starts from the same
    weights as the baseline.
    """
    assistants = [
        PlannedModel("assistant", f"assistant-{number}", spec, recipe.seed, recipe.method)
        for number, spec in enumerate(recipe.assistants, 1)
    ]
    generations = [
        PlannedModel("generation", f"generation-{number}", recipe.student[0], seed, recipe.method)
        for number in range(1, recipe.generations)
        for seed in [nth_seed(recipe.seed, number)]
    ]
    return [*([model] for model in (*assistants, *generations)), students(recipe)]


def models(recipe: Recipe) -> list[PlannedModel]:
    """All models of a run in the order of their training; some may come from files."""
    learners = [model for group in rounds(recipe) for model in group]
    return [*teachers(recipe), *(baselines(recipe) if recipe.baseline else []), *learners]


def students(recipe: Recipe) -> list[PlannedModel]:
    """The students: "student" if there is one, else "student-1" and so on, all with one seed."""
    groups = [(method,) for method in recipe.method] if recipe.each_method else [recipe.method]
    pairs = [(spec, methods) for spec in recipe.student for methods in groups]
    return [
        PlannedModel("student", phase, spec, nth_seed(recipe.seed, recipe.generations), methods)
        for phase, (spec, methods) in zip(_phases("student", len(pairs)), pairs, strict=True)
    ]


def baselines(recipe: Recipe) -> list[PlannedModel]:
    """Each student model alone, once for all methods: "baseline", or "baseline-1" and so on."""
    specs = list(dict.fromkeys(recipe.student))
    return [
        PlannedModel("baseline", phase, spec, recipe.seed)
        for phase, spec in zip(_phases("baseline", len(specs)), specs, strict=True)
    ]


def _phases(role: Role, num_phases: int) -> list[str]:
    return (
        [role] if num_phases == 1 else [f"{role}-{number}" for number in range(1, num_phases + 1)]
    )


def nth_seed(seed: int, number: int) -> int:
    """The run's seed for the first of several models; a different seed for each later model.

    Args:
        seed: the run's seed.
        number: which of the models, >= 1.
    """
    if number == 1:
        return seed
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0] >> 1)
