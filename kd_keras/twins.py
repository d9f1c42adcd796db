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

from kd_keras import check, folding, strategy, taps

Tensor = Any
Outputs = dict[str, Tensor]
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
MORE_THAN_ANY_SEED = 1_000_000_007  # Keras draws the seeds that it is not given up to 10^9


class Twin:
    """Runs a model for its logits and taps; no Keras layer, so that nothing tracks or saves it.

    Args:
        model: Functional or built Sequential, else a model whose call() gives logits or a dict of
            "logits" and taps; that one is run as it is, in its own precision.
        names: taps to give beside the logits.
        precision: one of `PRECISIONS`; the last layer with weights and all after it stay in
            float32.
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
        # TensorFlow has no fused float16 kernel for CPUs.
        on_gpu = bool(tf.config.list_physical_devices("GPU"))
        self._fused = fused and (precision != "mixed_float16" or on_gpu)
        self._copies: dict[int, tuple[Any, Any]] = {}  # id of a layer -> (layer, its copy)
        self._sources: dict[int, Any] = {}  # id of a copy's variable -> the model's variable
        self._folded: dict[int, folding.Folded] = {}  # by the id of each of the two layers
        self._model = model
        self._is_graph = taps.is_graph(model)
        self._tail = taps.tail(model)
        self.shapes = taps.output_shapes(model)  # of each output, batch axis as None
        if self._is_graph:
            if folded:
                self._fold(model)
            self._rebuild(model)
            self.shapes = taps.shapes(self._model.output)
        for name in set(self.names) - set(self.shapes):
            raise ValueError(taps.unknown_tap(model, name, self.shapes))

    def __call__(self, inputs: Any, *, training: bool) -> tuple[Outputs, list[Tensor]]:
        """Logits and taps, float32, and the model's own losses (regularisers), each a scalar."""
        if not self._is_graph:
            return self._run_opaque(inputs, training)
        offset = _replica_offset()
        given = [pair for folded in self._folded_once() for pair in folded.values()]
        known = {id(variable) for variable, _ in given}
        for variable in self._model.variables:
            if id(variable) in known:
                continue
            value = tf.convert_to_tensor(self._source(variable).value)
            given.append((variable, value + offset if _is_seed(variable) else value))
        with keras.StatelessScope(given, collect_losses=True) as scope:
            outputs = self._model(inputs, training=training)
            losses = self._model.losses
        for variable, before in given if training else ():
            value = scope.get_current_value(variable)
            if value is not before:
                value = value - offset if _is_seed(variable) else strategy.averaged(value)
                self._source(variable).assign(value)
        return _float32(outputs), [keras.ops.cast(loss, "float32") for loss in losses]

    def follow_trainable(self) -> None:
        """Takes over which of the model's layers are frozen now."""
        for layer, copy in self._copies.values():
            for part, its_copy in zip(layer._flatten_layers(), copy._flatten_layers(), strict=True):
                its_copy.trainable = part.trainable

    def _run_opaque(self, inputs: Any, training: bool) -> tuple[Outputs, list[Tensor]]:
        seeds = [variable for variable in self._model.variables if _is_seed(variable)]
        one_state = strategy.one_state(self._model, seeds, _replica_offset())
        with one_state if training else contextlib.nullcontext():
            outputs = self._model(inputs, training=training)
        if not isinstance(outputs, dict):
            outputs = {taps.LOGITS: outputs}
        return _float32(outputs), self._model.losses

    def _fold(self, model: keras.Model) -> None:
        for linear, norm in folding.pairs(taps.rebuilt(model, self.names)):
            folded = folding.Folded(linear, norm, self._precision_of(norm))
            self._folded |= {id(linear): folded, id(norm): folded}

    def _folded_once(self) -> list[folding.Folded]:
        return list({id(folded): folded for folded in self._folded.values()}.values())

    def _precision_of(self, layer: Any) -> str:
        in_tail = any(layer is operation for operation in self._tail)
        return "float32" if in_tail else self.precision

    def _rebuild(self, model: keras.Model) -> None:
        self._model = taps.rebuilt(model, self.names, replace=self._copy)
        unlike = [layer for layer, copy in self._copies.values() if not _are_alike(layer, copy)]
        if unlike:  # layers that their configuration does not make again run as they are
            self._copies |= {id(layer): (layer, layer) for layer in unlike}
            self._model = taps.rebuilt(model, self.names, replace=self._copy)
        for layer, copy in self._copies.values():
            for source, variable in zip(layer.variables, copy.variables, strict=True):
                self._sources[id(variable)] = source

    def _copy(self, layer: Any) -> Any:
        """The layer in the twin's precision; itself where it is no layer or cannot be copied."""
        if not isinstance(layer, keras.Layer):
            return layer
        if id(layer) in self._folded:
            folded = self._folded[id(layer)]
            return folded.layer if layer is folded.linear else _same
        if id(layer) not in self._copies:
            precision = self._precision_of(layer)
            self._copies[id(layer)] = layer, copied(layer, precision, fused=self._fused)
        return self._copies[id(layer)][1]

    def _source(self, variable: Any) -> Any:
        return self._sources.get(id(variable), variable)


def copied(layer: keras.Layer, precision: str, *, fused: bool) -> keras.Layer:
    """A new layer of the same configuration in `precision`; the layer itself if none can be."""
    is_batch_norm = type(layer) is keras.layers.BatchNormalization
    # An adapted layer's statistics and a SavedModel's functions are not in the configuration.
    is_more = hasattr(layer, "adapt") or isinstance(layer, keras.layers.TFSMLayer)
    if is_more or (precision == "float32" and not (fused and is_batch_norm)):
        return layer
    try:
        cls = FusedBatchNormalization if fused and is_batch_norm else type(layer)
        return cls.from_config({**layer.get_config(), "dtype": precision})
    except (TypeError, ValueError, NotImplementedError):
        return layer  # a layer without a usable configuration runs as it is, in float32


class FusedBatchNormalization(keras.layers.BatchNormalization):
    """Keras's batch norm on TensorFlow's fused kernel: same results, moving statistics too."""

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor = None) -> Tensor:
        by_batch = bool(training) and self.trainable
        is_map = len(inputs.shape) == 4 and self.axis in (-1, 3)
        if not is_map or mask is not None or (by_batch and (self.synchronized or self.renorm)):
            return super().call(inputs, training=training, mask=mask)
        channels = inputs.shape[-1]
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=_read(self.gamma) if self.scale else tf.ones([channels]),
            offset=_read(self.beta) if self.center else tf.zeros([channels]),
            mean=tf.zeros([0]) if by_batch else _read(self.moving_mean),
            variance=tf.zeros([0]) if by_batch else _read(self.moving_variance),
            epsilon=self.epsilon,
            is_training=by_batch,
        )
        if not by_batch:
            return outputs
        # The kernel gives the unbiased variance; Keras keeps the biased one.
        count = tf.cast(tf.size(inputs) // channels, "float32")
        self._move(self.moving_mean, mean)
        self._move(self.moving_variance, variance * (count - 1) / count)
        return outputs

    def _move(self, statistic: Any, batch_value: Tensor) -> None:
        kept = _read(statistic) * self.momentum
        statistic.assign(kept + batch_value * (1.0 - self.momentum))


def _same(inputs: Tensor, **kwargs: Any) -> Tensor:
    """Stands in the place of a batch norm that was folded into the layer before."""
    return inputs


def _are_alike(layer: keras.Layer, copy: keras.Layer) -> bool:
    """True if the copy has the layer's parts and variables, one to one."""
    same_parts = len(layer._flatten_layers()) == len(copy._flatten_layers())
    return same_parts and [v.shape for v in layer.variables] == [v.shape for v in copy.variables]


def _is_seed(variable: Any) -> bool:
    return variable.name == "seed_generator_state"


def _replica_offset() -> Any:
    """Added to a seed, so that replicas, which hold the same seeds, draw different masks."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return 0
    return tf.cast([context.replica_id_in_sync_group, 0], "int64") * MORE_THAN_ANY_SEED


def _read(variable: Any) -> Tensor:
    """A batch norm's parameter in float32, as the fused kernel takes it at any precision."""
    return keras.ops.cast(variable, "float32")


def _float32(outputs: Outputs) -> Outputs:
    return {name: keras.ops.cast(value, "float32") for name, value in outputs.items()}


def best_precision() -> str:
    """The fastest precision of this machine, one that keeps float32's range where there is one."""
    native = native_precisions()
    return next(p for p in ("mixed_bfloat16", "mixed_float16", "float32") if p in native)


def precision_of_training(model: keras.Model, asked: str) -> str:
    """The precision that a student steps in: the one asked for, or float32 where that is faster.

    A CPU takes longer over the gradients of networks of depthwise convolutions in bfloat16; their
    forward pass alone is faster in it.
    """
    on_cpu = not tf.config.list_physical_devices("GPU")
    depthwise = (keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)
    slow = any(isinstance(layer, depthwise) for layer in model._flatten_layers())
    return "float32" if asked == "mixed_bfloat16" and on_cpu and slow else asked


def native_precisions() -> set[str]:
    """Precisions that every GPU, or else the CPU, has units for; others are right, but slow."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        by_bfloat16 = _cpu_flags() & {"avx512_bf16", "amx_bf16"}
        return {"float32", *(["mixed_bfloat16"] if by_bfloat16 else [])}
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    oldest = min(detail.get("compute_capability", (0, 0)) for detail in details)
    since = {"float32": (0, 0), "mixed_float16": (7, 0), "mixed_bfloat16": (8, 0)}
    return {precision for precision, version in since.items() if oldest >= version}


def _cpu_flags() -> set[str]:
    try:
        with open("/proc/cpuinfo") as lines:
            return next((set(ln.split()) for ln in lines if ln.startswith("flags")), set())
    except OSError:
        return set()  # no Linux: float32 is right everywhere
