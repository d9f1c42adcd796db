"""Teachers: a model as a frozen function outside the gradient, or cached outputs."""

from collections.abc import Iterable
from typing import Any

import keras

from kd_keras.data.teacher_rows import TeacherRows
from kd_keras.graph import heads, taps, twins
from kd_keras.tensor_types import Outputs, Shapes


class Teacher:
    """Runs a classifier on a batch. It is not a Keras layer, so no model tracks or saves it.

    Args:
        model: the classifier; its weights are read at each call and never changed.
        names: taps to give beside the logits.
        precision: see `graph.precision.PRECISIONS`.
        classifies: whether its logits are read. If not, the model may be of any kind, such as an
            image tower that ends with an embedding; "logits" are then its outputs as they are.
        multi_label: whether each class has a sigmoid of its own.

    Raises:
        ValueError: the model's head is of no use to distillation (`heads.output_type`), or a tap is
            unknown.
    """

    def __init__(
        self,
        model: keras.Model,
        names: Iterable[str] = (),
        *,
        precision: str = "float32",
        classifies: bool = True,
        multi_label: bool = False,
    ):
        self.model = model
        self._head = (
            heads.output_type(model, multi_label=multi_label) if classifies else "embedding"
        )
        self._twin = twins.Twin(model, names, precision=precision, folded=True)

    def __call__(self, inputs: Any) -> Outputs:
        """ "logits" (B, C) and each tap, float32; for a softmax head, the log-probabilities."""
        outputs, _ = self._twin(inputs, training=False)
        outputs[taps.LOGITS] = heads.logits_of_teacher(outputs[taps.LOGITS], self._head)
        return {name: keras.ops.stop_gradient(value) for name, value in outputs.items()}

    @property
    def shapes(self) -> Shapes:
        """Shape of each output, batch axis as None."""
        return heads.shapes_of_teacher(self._twin.shapes, self._head)


class CachedTeacher:
    """A teacher that does not run: its outputs come with each batch, by our pipeline.

    Args:
        rows: where they come from.
        names: taps that are read beside the logits.
        classifies: whether its logits are read; if not, there may be none.

    Raises:
        ValueError: an output that is read is not among the rows.
    """

    def __init__(self, rows: TeacherRows, names: Iterable[str] = (), *, classifies: bool = True):
        self.model = rows
        output_names = {*names, taps.LOGITS} if classifies else {*names}
        missing = sorted(output_names - set(rows.shapes))
        if taps.LOGITS in missing:
            have = sorted(rows.shapes)
            raise ValueError(
                f"the teacher's cache holds {have} and no logits; expected methods that read no "
                f"more. Choose one, such as embed:teacher_tap={have[0]}, or a teacher's file."
            )
        if missing:
            options = " ".join(f"--taps {name}" for name in missing)
            raise ValueError(
                f"the teacher's cache holds {sorted(rows.shapes)}; expected {missing} too, which "
                f"the methods read. Make it again (kdk cache {options}), or choose other methods."
            )

    def __call__(self, inputs: Any) -> Outputs:
        """Raises ValueError: there is no model to run."""
        raise ValueError(
            "the teacher is a cache of outputs, and a batch came without them; expected batches of "
            "kd_keras.data.pipeline.BatchPlan(...).dataset(..., teacher=cache), or a teacher model."
        )

    @property
    def shapes(self) -> Shapes:
        """Shape of each output, batch axis as None."""
        return dict(self.model.shapes)


def wrap(
    teacher: keras.Model | TeacherRows,
    names: Iterable[str],
    *,
    precision: str,
    classifies: bool,
    multi_label: bool,
) -> Teacher | CachedTeacher:
    """A model as a `Teacher`, rows of outputs as a `CachedTeacher`; arguments as of `Teacher`."""
    if isinstance(teacher, keras.Model):
        options: dict[str, Any] = {"classifies": classifies, "multi_label": multi_label}
        return Teacher(teacher, names, precision=precision, **options)
    return CachedTeacher(teacher, names, classifies=classifies)
