"""Whether distillation happened in a run: the warnings of results.json."""

from collections.abc import Mapping
from typing import Any

from kd_keras.distill.callbacks import gradient_balance, gradient_norms
from kd_keras.job.prepare import Job
from kd_keras.results.phase_names import ASSISTANT, TEACHER, display_name, role
from kd_keras.results.prediction_warnings import low_agreement, order_of_classes, worse_teacher
from kd_keras.results.terminal import table


def warnings(job: Job, results: Mapping[str, Any]) -> list[str]:
    """Sentences about terms without a gradient, agreement, and teachers, each with its remedy.

    Args:
        job: the run, all phases of which are measured.
        results: entries of results.json by phase, with `taught_by` of each model that was taught.
    """
    # Of multi-label data, the verdict says whether a teacher is worse than the student alone.
    is_multi_label = job.data.validation.labels.ndim == 2
    lines = [] if is_multi_label else _prediction_sentences(job, results)
    distillers = {
        phase: d for round_distillers in job.models.rounds for phase, d in round_distillers.items()
    }
    for phase, distiller in distillers.items():
        norms_by_epoch = gradient_norms.measurements(job.folder.history(phase) or {})
        exempt_terms = gradient_balance.switched_off(distiller, measurements=len(norms_by_epoch))
        lines += [
            f"{display_name(phase)}: {line}"
            for line in gradient_balance.sentences(norms_by_epoch, exempt_terms=exempt_terms)
        ]
    return [line[0].upper() + line[1:] for line in lines]


def _prediction_sentences(job: Job, results: Mapping[str, Any]) -> list[str]:
    """Sentences about agreement and teachers, from the classes that the models predict."""
    lines: list[str] = []
    labels, seed = job.data.validation.labels, job.recipe.seed
    phases = table.models(results)
    predictions = {phase: job.folder.predictions(phase) for phase in phases}
    for phase in phases:
        name = display_name(phase)
        if role(phase, results) == TEACHER:
            lines += order_of_classes(name, predictions[phase], labels, job.data.class_names)
        teacher = results[phase].get("taught_by")
        if teacher in predictions:
            classes = predictions[phase], predictions[teacher]
            lines += low_agreement(name, display_name(teacher), *classes, labels)
            if role(teacher, results) in (
                TEACHER,
                ASSISTANT,
            ):  # a generation is to beat the one before
                lines += worse_teacher(name, display_name(teacher), *classes, labels, seed=seed)
    return lines
