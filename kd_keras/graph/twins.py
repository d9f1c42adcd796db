"""Twins: a model's own weights, run in a different precision and on faster kernels.

The user's model stays plain and in float32. Its twin is a second graph of copied layers, whose own
variables are placeholders. At each call, they take the values of the model's variables, so that
gradients reach the model, and the graph runs. Then what it changed (moving statistics, seeds of
dropout) is assigned to the model's variables.
"""

import contextlib
from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf

from kd_keras import check, replicas
from kd_keras.graph import (
    bias_gradient,
    folding,
    last_activation,
    layer_copies,
    likeness,
    taps,
    unknown_taps,
)
from kd_keras.graph.precision import PRECISIONS
from kd_keras.tensor_types import Outputs, Tensor

MORE_THAN_ANY_SEED = 1_000_000_007  # seeds that Keras draws by itself are at most 10^9


class Twin:
    """Runs a model for its logits and taps. It is not a Keras layer, so nothing tracks or saves it.

    Args:
        model: Functional or built Sequential model. Any other model must return logits, or a dict
            of "logits" and taps, from call(); it has no copy and runs in its own precision.
        tap_names: names of the taps to return beside the logits.
        precision: one of `graph.precision.PRECISIONS`. The last layer with weights, and all
            layers after it, stay in float32. "float32" leaves each layer in the precision that it
            was built with.
        fused: whether batch norms run on TensorFlow's fused kernel where it computes the same.
        folded: whether batch norms are folded into the layers before them; for inference only.
        before_softmax: whether the logits of a model that ends in a softmax are the sums before it,
            where it can be left out (`last_activation.softmax`).

    Raises:
        ValueError: an unknown precision, or a tap that the model does not have.
    """

    def __init__(
        self,
        model: keras.Model,
        tap_names: Iterable[str] = (),
        *,
        precision: str = "float32",
        fused: bool = True,
        folded: bool = False,
        before_softmax: bool = False,
    ):
        self.precision = check.one_of("precision", precision, PRECISIONS)
        self.tap_names = tuple(tap_names)
        self._fused = fused
        self._copies: dict[int, tuple[Any, Any]] = {}  # id of a layer -> (layer, its copy)
        self._sources: dict[int, Any] = {}  # id of a copy's variable -> the model's variable
        self._folded: dict[int, folding.Folded] = {}  # id of either of its layers -> the pair
        self._pairs: list[folding.Folded] = []  # each folded pair once
        # (variable of the layers that run, the model's variable that it stands for, is it a seed)
        self._state: list[tuple[Any, Any, bool]] = []
        self._model = model  # the model that runs: replaced by the copied graph below
        self._is_graph = taps.is_graph(model)
        self._tail = taps.tail(model)
        self._softmax = last_activation.softmax(model) if before_softmax else None
        self.shapes = taps.output_shapes(model)  # by name of the output, batch axis as None
        if self._is_graph:
            if folded:
                self._fold(model)
            self._build(model)
            self.shapes = taps.shapes(self._model.output)
        missing = sorted(set(self.tap_names) - set(self.shapes))
        if missing:
            message = unknown_taps.message(model, missing[0], self.shapes, is_graph=self._is_graph)
            raise ValueError(message)
        bias_gradient.sum_in_float32()  # always: any part of the step may compute in bfloat16

    def __call__(self, inputs: Any, *, training: bool) -> tuple[Outputs, list[Tensor]]:
        """Logits and taps, float32, and the model's own losses (regularisers), float32 scalars."""
        if not self._is_graph:
            return self._run_uncopied(inputs, training)
        is_distributed = replicas.count() > 1
        offset = _seed_offset() if is_distributed else 0
        values = [pair for folded in self._pairs for pair in folded.values()]
        for variable, source, is_seed in self._state:
            value = tf.convert_to_tensor(source.value)
            values.append((variable, value + offset if is_seed and is_distributed else value))
        scope = _RecordingScope(values, collect_losses=True)
        scope.changed = {}
        with scope:
            outputs = self._model(inputs, training=training)
            losses = self._model.losses
        seeds = {id(variable) for variable, _, is_seed in self._state if is_seed}
        for variable in scope.changed.values():
            value = scope.get_current_value(variable)
            # A metric's variable ("sum") stays apart: Keras itself adds up the replicas' parts.
            if is_distributed and variable.aggregation != "sum":
                value = value - offset if id(variable) in seeds else replicas.averaged(value)
            self._sources.get(id(variable), variable).assign(value)
        outputs = {name: keras.ops.cast(value, "float32") for name, value in outputs.items()}
        # Keras sums a layer's loss if it is given per example.
        return outputs, [keras.ops.sum(keras.ops.cast(loss, "float32")) for loss in losses]

    @property
    def layers(self) -> list[keras.Layer]:
        """The layers that run: the copies, and the model's own layers that have no copy."""
        return self._model.layers if self._is_graph else [self._model]

    def follow_trainable(self) -> None:
        """Freezes the same layers as in the model now; call it before a step is traced."""
        for layer, copy in self._copies.values():
            if copy is layer:  # assigning `trainable` would overwrite that of its sublayers
                continue
            for sublayer, sublayer_copy in zip(
                layer._flatten_layers(), copy._flatten_layers(), strict=True
            ):
                sublayer_copy.trainable = sublayer.trainable

    def _run_uncopied(self, inputs: Any, training: bool) -> tuple[Outputs, list[Tensor]]:
        # A model that is not a graph of layers runs as it is.
        seeds = [variable for variable in self._model.variables if _is_seed(variable)]
        shared_state = replicas.shared_state(self._model, seeds, _seed_offset())
        with shared_state if training else contextlib.nullcontext():
            outputs = taps.by_name(self._model(inputs, training=training))
        outputs = {name: keras.ops.cast(value, "float32") for name, value in outputs.items()}
        losses = self._model.losses
        return outputs, [keras.ops.sum(keras.ops.cast(loss, "float32")) for loss in losses]

    def _fold(self, model: keras.Model) -> None:
        """Makes one layer for each linear layer and the batch norm that alone reads it."""
        for linear, norm in folding.pairs(taps.tapped_model(model, self.tap_names)):
            folded = folding.Folded(linear, norm, self._policy_of(linear))
            self._folded |= {id(linear): folded, id(norm): folded}
            self._pairs.append(folded)

    def _build(self, model: keras.Model) -> None:
        """Makes the copied graph, and finds the model's variable for each variable in it."""
        self._model = taps.tapped_model(model, self.tap_names, replace=self._copy)
        copies = self._copies.values()
        unlike = [layer for layer, copy in copies if not likeness.are_alike(layer, copy)]
        if unlike:  # their configuration does not define them fully: they run without a copy
            self._copies |= {id(layer): (layer, layer) for layer in unlike}
            self._model = taps.tapped_model(model, self.tap_names, replace=self._copy)
        for layer, copy in self._copies.values():
            pairs = zip(likeness.state(layer), likeness.state(copy), strict=True)
            self._sources |= {id(variable): source for source, variable in pairs}
        computed = {id(v) for folded in self._pairs for v in folded.layer.variables}
        self._state = [
            (variable, self._sources.get(id(variable), variable), _is_seed(variable))
            for variable in likeness.state(self._model)
            if id(variable) not in computed
        ]

    def _copy(self, layer: Any) -> Any:
        """What runs in the place of a layer: its copy, or the layer itself if no copy is needed."""
        if layer is self._softmax and not getattr(layer, "weights", None):
            return _identity
        if not isinstance(layer, keras.Layer):
            return layer  # an operation without weights
        if id(layer) in self._folded:
            folded = self._folded[id(layer)]
            return folded.layer if layer is folded.linear else _identity
        if id(layer) not in self._copies:
            policy = self._policy_of(layer)
            if layer is self._softmax:
                copy = last_activation.without(layer, policy)
            else:
                copy = layer_copies.copy_layer(layer, policy, fused=self._fused)
            self._copies[id(layer)] = layer, copy
        return self._copies[id(layer)][1]

    def _policy_of(self, layer: Any) -> keras.DTypePolicy:
        """The precision of a layer's copy; the model's tail is float32 in any lower precision."""
        if self.precision == "float32":
            return layer.dtype_policy
        in_tail = any(layer is operation for operation in self._tail)
        return keras.DTypePolicy("float32" if in_tail else self.precision)


class _RecordingScope(keras.StatelessScope):
    """A stateless scope that records which variables are assigned to."""

    changed: dict[int, Any]  # id of a variable -> the variable; {} at the start

    def add_update(self, update: tuple[Any, Tensor]) -> None:
        self.changed[id(update[0])] = update[0]
        super().add_update(update)


def _identity(inputs: Tensor, **kwargs: Any) -> Tensor:
    """Replaces a batch norm that is folded into the layer before it, or a softmax."""
    return inputs


def _is_seed(variable: Any) -> bool:
    return str(variable.name) == "seed_generator_state"


def _seed_offset() -> Any:
    """The offset of this replica's seeds, so that dropout masks differ between replicas."""
    context = tf.distribute.get_replica_context()
    if context is None or replicas.count() == 1:
        return 0
    return tf.cast([context.replica_id_in_sync_group, 0], "int64") * MORE_THAN_ANY_SEED
