"""Fast twins: a model's own weights, run in another precision and on faster kernels.

The user's model stays float32 and plain. Its twin is a second graph of layers whose variables are
never used: at each call the model's variables stand in for them, and what the call changes (moving
statistics, dropout's seeds) is written back to the model. Gradients land in the model.
"""

import contextlib
from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf

from kd_keras import check, replicas
from kd_keras.graph import bias_gradient, folding, layer_copies, likeness, taps
from kd_keras.graph.precision import PRECISIONS

Tensor = Any
Outputs = dict[str, Tensor]
MORE_THAN_ANY_SEED = 1_000_000_007  # Keras draws the seeds that it is not given up to 10^9


class Twin:
    """Runs a model for its logits and taps; no Keras layer, so that nothing tracks or saves it.

    Args:
        model: Functional or built Sequential, else a model whose call() gives logits or a dict of
            "logits" and taps; that one is run as it is, in its own precision.
        names: taps to give beside the logits.
        precision: one of `precision.PRECISIONS`; the last layer with weights and all after it
            stay in float32. "float32" leaves each layer the precision that it was built with.
        fused: run batch norms on TensorFlow's fused kernel where that computes the same.
        folded: fold batch norms into the layers before them; for inference only.
    """

    def __init__(
        self,
        model: keras.Model,
        names: Iterable[str] = (),
        *,
        precision: str = "float32",
        fused: bool = True,
        folded: bool = False,
    ):
        self.precision = check.one_of("precision", precision, PRECISIONS)
        self.names = tuple(names)
        self._fused = fused
        self._copies: dict[int, tuple[Any, Any]] = {}  # id of a layer -> (layer, its copy)
        self._sources: dict[int, Any] = {}  # id of a copy's variable -> the model's variable
        self._folded: dict[int, folding.Folded] = {}  # by the id of each of the two layers
        self._folded_layers: list[folding.Folded] = []  # each once
        # (variable of the layers that run, the model's variable that it stands for, is a seed)
        self._state: list[tuple[Any, Any, bool]] = []
        self._model = model
        self._is_graph = taps.is_graph(model)
        self._tail = taps.tail(model)
        self.shapes = taps.output_shapes(model)  # of each output, batch axis as None
        if self._is_graph:
            if folded:
                self._fold(model)
            self._rebuild(model)
            self.shapes = taps.shapes(self._model.output)
        missing = sorted(set(self.names) - set(self.shapes))
        if missing:
            raise ValueError(taps.unknown_tap(model, missing[0], self.shapes))
        bias_gradient.sum_in_float32()  # whatever part of the step computes in bfloat16

    @property
    def layers(self) -> list[keras.Layer]:
        """The layers that run: copies where there are copies, else the model's own."""
        return self._model.layers if self._is_graph else [self._model]

    def __call__(self, inputs: Any, *, training: bool) -> tuple[Outputs, list[Tensor]]:
        """Logits and taps, float32, and the model's own losses (regularisers), float32 scalars."""
        if not self._is_graph:
            return self._run_opaque(inputs, training)
        several = replicas.count() > 1
        offset = _seed_offset() if several else 0
        values = [pair for folded in self._folded_layers for pair in folded.values()]
        for variable, source, is_seed in self._state:
            value = tf.convert_to_tensor(source.value)
            values.append((variable, value + offset if is_seed and several else value))
        scope = _RecordingScope(values, collect_losses=True)
        scope.changed = {}
        with scope:
            outputs = self._model(inputs, training=training)
            losses = self._model.losses
        seeds = {id(variable) for variable, _, is_seed in self._state if is_seed}
        for variable in scope.changed.values():
            value = scope.get_current_value(variable)
            # Keras adds up the replicas' parts of a metric by itself.
            if several and variable.aggregation != "sum":
                value = value - offset if id(variable) in seeds else replicas.averaged(value)
            self._sources.get(id(variable), variable).assign(value)
        outputs = {name: keras.ops.cast(value, "float32") for name, value in outputs.items()}
        # A layer may give a loss per example, which Keras sums.
        return outputs, [keras.ops.sum(keras.ops.cast(loss, "float32")) for loss in losses]

    def follow_trainable(self) -> None:
        """Takes over which of the model's layers are frozen; call it before a step is traced."""
        for layer, copy in self._copies.values():
            if copy is layer:  # setting a layer's `trainable` would set that of its parts
                continue
            for part, its_copy in zip(layer._flatten_layers(), copy._flatten_layers(), strict=True):
                its_copy.trainable = part.trainable

    def _run_opaque(self, inputs: Any, training: bool) -> tuple[Outputs, list[Tensor]]:
        seeds = [variable for variable in self._model.variables if _is_seed(variable)]
        one_state = replicas.one_state(self._model, seeds, _seed_offset())
        with one_state if training else contextlib.nullcontext():
            outputs = self._model(inputs, training=training)
        if not isinstance(outputs, dict):
            outputs = {taps.LOGITS: outputs}
        outputs = {name: keras.ops.cast(value, "float32") for name, value in outputs.items()}
        losses = self._model.losses
        return outputs, [keras.ops.sum(keras.ops.cast(loss, "float32")) for loss in losses]

    def _fold(self, model: keras.Model) -> None:
        for linear, norm in folding.pairs(taps.rebuilt(model, self.names)):
            folded = folding.Folded(linear, norm, self._policy_of(linear))
            self._folded |= {id(linear): folded, id(norm): folded}
            self._folded_layers.append(folded)

    def _policy_of(self, layer: Any) -> keras.DTypePolicy:
        """What the layer's copy computes in; the tail is float32 in any lower precision."""
        if self.precision == "float32":
            return layer.dtype_policy
        in_tail = any(layer is operation for operation in self._tail)
        return keras.DTypePolicy("float32" if in_tail else self.precision)

    def _rebuild(self, model: keras.Model) -> None:
        self._model = taps.rebuilt(model, self.names, replace=self._copy)
        copies = self._copies.values()
        unlike = [layer for layer, copy in copies if not likeness.are_alike(layer, copy)]
        if unlike:  # layers that their configuration does not make again run as they are
            self._copies |= {id(layer): (layer, layer) for layer in unlike}
            self._model = taps.rebuilt(model, self.names, replace=self._copy)
        for layer, copy in self._copies.values():
            pairs = zip(likeness.state(layer), likeness.state(copy), strict=True)
            self._sources |= {id(variable): source for source, variable in pairs}
        computed = {id(v) for folded in self._folded_layers for v in folded.layer.variables}
        self._state = [
            (variable, self._sources.get(id(variable), variable), _is_seed(variable))
            for variable in likeness.state(self._model)
            if id(variable) not in computed
        ]

    def _copy(self, layer: Any) -> Any:
        """The layer in the twin's precision; itself where it is no layer or cannot be copied."""
        if not isinstance(layer, keras.Layer):
            return layer
        if id(layer) in self._folded:
            folded = self._folded[id(layer)]
            return folded.layer if layer is folded.linear else _same
        if id(layer) not in self._copies:
            copy = layer_copies.copied(layer, self._policy_of(layer), fused=self._fused)
            self._copies[id(layer)] = layer, copy
        return self._copies[id(layer)][1]


class _RecordingScope(keras.StatelessScope):
    """A stateless scope that knows which variables were assigned to, whoever holds them."""

    changed: dict[int, Any]  # id of a variable -> the variable; {} at first

    def add_update(self, update: tuple[Any, Tensor]) -> None:
        self.changed[id(update[0])] = update[0]
        super().add_update(update)


def _same(inputs: Tensor, **kwargs: Any) -> Tensor:
    """Stands in the place of a batch norm that was folded into the layer before."""
    return inputs


def _is_seed(variable: Any) -> bool:
    return variable.name == "seed_generator_state"


def _seed_offset() -> Any:
    """Added to a seed, so that replicas, which hold the same seeds, draw different masks."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return 0
    return tf.cast([context.replica_id_in_sync_group, 0], "int64") * MORE_THAN_ANY_SEED
