"""Taps: a model's logits and its named intermediate features, from one forward pass."""

import collections
import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np

from kd_keras.graph import unknown_taps
from kd_keras.tensor_types import Logits, Outputs, Shapes, Tensor

LOGITS = "logits"
_FEW = 4  # examples to try a model on
# Names under which Keras's layers and operations take tensors.
_ARGUMENTS = ("inputs", "query", "value", "key", "x", "x1", "x2")
_ANY_SIZE = 32  # stands for the size of an open axis


def tapped_model(
    model: keras.Model,
    taps: Iterable[str] = (),
    *,
    replace: Callable[[Any], Any] = lambda layer: layer,
) -> keras.Model:
    """A functional model of the same layers that returns the logits and the requested features.

    Nested models are flattened, so a tap may be inside one ("backbone/block4_out") and `replace`
    is called for every layer. Weights are shared wherever `replace` returns its argument.

    Args:
        model: a Functional or built Sequential model with one output.
        taps: layer paths. A layer that is called several times gives its first output.
        replace: returns, for each of the model's layers, the layer to run in its place.

    Returns:
        Model from `model`'s own input structure to {"logits": tensor, tap: tensor, ...}.

    Raises:
        ValueError: the model is not a graph of layers, or has no such tap (similar names are
            listed).
    """
    if not is_graph(model):
        raise ValueError(
            f"model {model.name!r} is a {type(model).__name__}; its features can be tapped by "
            "name only in a Functional or built Sequential model. Let its call() return a dict "
            'of "logits" and the taps.'
        )
    inputs = keras.tree.map_structure(_fresh_input, _graph(model).input)
    features: Outputs = {}
    features |= by_name(_walk(model, inputs, replace, "", features))
    outputs = {LOGITS: features[LOGITS]}
    for tap in taps:
        if tap not in features:
            raise ValueError(unknown_taps.message(model, tap, shapes(features), is_graph=True))
        outputs[tap] = features[tap]
    with _unique_names(outputs):
        return keras.Model(inputs, outputs, name=model.name)


def calls(model: keras.Model) -> list[tuple[Any, Any, Any]]:
    """(operation, its input tensors, its output) for every call in the model's graph.

    Calls inside nested models are included. Tensors are symbolic; their shapes follow from the
    outer model's input, also inside a nested model with open sizes. The model is not changed.

    Raises ValueError for a model that is not a graph of layers.
    """
    if not is_graph(model):
        raise ValueError(
            f"model {model.name!r} is a {type(model).__name__}; expected a Functional or built "
            "Sequential model, whose layers and connections are known."
        )
    records: list[tuple[Any, Any, Any]] = []

    def recording_call(operation: Any) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            output = operation.compute_output_spec(*args, **kwargs)
            values = [*args, *(kwargs[name] for name in _ARGUMENTS if name in kwargs)]
            tensors = [value for value in values if _has_tensors(value)]
            records.append((operation, tensors[0] if len(tensors) == 1 else tensors, output))
            return output

        return call

    def symbolic(tensor: Tensor) -> Tensor:
        return keras.KerasTensor(tensor.shape, tensor.dtype)

    _walk(model, keras.tree.map_structure(symbolic, _graph(model).input), recording_call, "", {})
    return records


def is_graph(model: Any) -> bool:
    """True for a model whose layers and connections are known: Functional or built Sequential."""
    return _graph(model) is not None


def logits_of(outputs: Any) -> Logits:
    """The logits among a model's outputs: the only output, or the entry "logits" of a dict."""
    return by_name(outputs)[LOGITS]


def by_name(outputs: Any) -> Outputs:
    """A model's outputs by name; a single output is the logits."""
    if isinstance(outputs, (list, tuple)) and len(outputs) == 1:
        outputs = outputs[0]
    return outputs if isinstance(outputs, dict) else {LOGITS: outputs}


def shapes(outputs: Outputs) -> Shapes:
    """Shape of each output, batch axis as None."""
    return {name: (None, *tensor.shape[1:]) for name, tensor in outputs.items()}


def output_shapes(model: keras.Model) -> Shapes:
    """Shape of each of the model's outputs by name, batch axis as None; a single one is "logits".

    Raises ValueError for a model that has not been built or that gives several unnamed outputs.
    """
    outputs = _graph(model).output if is_graph(model) else run(model, np.zeros)
    outputs_by_name = by_name(outputs)
    if isinstance(outputs_by_name.get(LOGITS), (list, tuple, type(None))):
        names = sorted(outputs) if isinstance(outputs, dict) else f"{len(outputs)} outputs"
        raise ValueError(
            f"model {model.name!r} gives {names}; expected the logits alone, or a dict of "
            '"logits" and taps. Make a model of that form: keras.Model(model.input, logits).'
        )
    return shapes(outputs_by_name)


def logits_dtype(model: keras.Model) -> str:
    """The dtype of the model's logits, such as "float32"; it gives them alone or in a dict."""
    outputs = _graph(model).output if is_graph(model) else run(model, np.zeros)
    return str(keras.backend.standardize_dtype(logits_of(outputs).dtype))


def run(model: keras.Model, draw: Callable[[tuple[int, ...]], np.ndarray]) -> Any:
    """The model's outputs, in inference mode, for a few examples that `draw` makes from shapes.

    Args:
        model: the model, built.
        draw: from a shape to an array; it is called once for each input.

    Raises:
        ValueError: the model has not been built.
    """
    shapes = input_shapes(model)
    if shapes is None:
        raise ValueError(
            f"model {model.name!r} has not been built, so its shapes are unknown; expected a built "
            "model. Call it once on a batch, or start it with keras.Input(shape)."
        )
    batch = keras.tree.map_shape_structure(
        lambda shape: draw((_FEW, *(size or _ANY_SIZE for size in shape[1:]))), shapes
    )
    with keras.StatelessScope():  # no metric, counter or state of a layer changes
        return model(batch, training=False)


def input_shapes(model: keras.Model) -> Any:
    """Shape of each input, in the model's own structure; None for a model that is not built."""
    # A Functional subclass with a call() of its own still declares its inputs.
    functional = getattr(model, "_functional", None) or model
    if hasattr(functional, "_run_through_graph"):
        return keras.tree.map_structure(lambda tensor: tensor.shape, functional.input)
    return (model.get_build_config() or {}).get("input_shape")


def tail(model: keras.Model) -> list[Any]:
    """Operations from the logits back to the nearest layers with weights; none if not a graph."""
    return _back_from(logits_of(_graph(model).output)) if is_graph(model) else []


def _has_tensors(value: Any) -> bool:
    return any(isinstance(tensor, keras.KerasTensor) for tensor in keras.tree.flatten(value))


def _graph(model: Any) -> Any:
    """The keras.Function that holds the model's graph, or None."""
    call = getattr(type(model), "call", None)
    if call is None or not call.__module__.startswith("keras."):
        return None  # a subclass with a call() of its own may compute more than its graph
    if isinstance(model, keras.Sequential):
        model = model._functional
    return model if hasattr(model, "_run_through_graph") else None


def _back_from(tensor: Tensor) -> list[Any]:
    operation = tensor._keras_history.operation
    if is_graph(operation):
        return tail(operation)
    if isinstance(operation, keras.layers.InputLayer) or getattr(operation, "weights", None):
        return [operation]
    earlier_operations = [_back_from(tensor) for tensor in keras.tree.flatten(operation.input)]
    return [operation, *itertools.chain.from_iterable(earlier_operations)]


def _fresh_input(tensor: Tensor) -> Tensor:
    return keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)


@contextlib.contextmanager
def _unique_names(outputs: Any) -> Iterator[None]:
    """In the block, operations with equal names are numbered, since Keras refuses equal names.

    Names are unique in each nested model, but not in the model that all are flattened into.
    """
    operations = {id(operation): operation for operation in _operations(outputs)}.values()
    num_operations = collections.Counter(operation.name for operation in operations)
    same_named = [operation for operation in operations if num_operations[operation.name] > 1]
    names = [operation.name for operation in same_named]
    try:
        for number, operation in enumerate(same_named):
            operation.name = f"{operation.name}:{number}"
        yield
    finally:
        for operation, name in zip(same_named, names, strict=True):
            operation.name = name


def _operations(outputs: Any) -> list[Any]:
    """Every operation that the tensors are computed by."""
    tensors, operations = keras.tree.flatten(outputs), {}
    while tensors:
        operation, node_index, _ = tensors.pop()._keras_history
        if (operation, node_index) not in operations:
            operations[operation, node_index] = operation
            tensors += operation._inbound_nodes[node_index].input_tensors
    return list(operations.values())


def _walk(
    model: Any, inputs: Any, replace: Callable[[Any], Any], path: str, features: Outputs
) -> Tensor:
    """Calls the model's layers in order on `inputs`; puts each one's output into `features`.

    The keys of `features` are the layers' paths.
    """

    def call(layer: Any, *args: Any, **kwargs: Any) -> Tensor:
        if is_graph(layer):
            # A nested model's own `training=` is dropped: in Keras the outer call overrides it too.
            nested_inputs = args[0] if args else kwargs["inputs"]
            output = _walk(layer, nested_inputs, replace, f"{path}{layer.name}/", features)
        else:
            output = replace(layer)(*args, **kwargs)
        if hasattr(output, "shape"):  # a layer with several outputs cannot be a tap
            features.setdefault(f"{path}{layer.name}", output)
        return output

    return _graph(model)._run_through_graph(inputs, operation_fn=lambda layer: layer, call_fn=call)
