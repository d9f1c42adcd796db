"""One pass that gives a model's logits and named intermediate features."""

import collections
import contextlib
import difflib
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np

Tensor = Any
LOGITS = "logits"
_FEW = 4  # examples to try a model on
_LIKE = 0.6  # share of letters that a near name has in common, as difflib counts
_ARGUMENTS = (
    "inputs",
    "query",
    "value",
    "key",
    "x",
    "x1",
    "x2",
)  # names of tensors given to layers
_ANY_SIZE = 32  # stands for a size that a model leaves open


def rebuilt(
    model: keras.Model,
    taps: Iterable[str] = (),
    *,
    replace: Callable[[Any], Any] = lambda layer: layer,
) -> keras.Model:
    """A functional model of the same layers that gives the logits and the features asked for.

    Nested models are flattened, so that a tap may lie inside one ("backbone/block4_out") and so
    that `replace` sees every layer. Weights are shared wherever `replace` returns its argument.

    Args:
        model: a Functional or built Sequential model with one output.
        taps: layer paths; of a layer that is called several times, its first output.
        replace: from each of the model's layers to the one that stands in its place.

    Returns:
        Model from `model`'s own input structure to {"logits": tensor, tap: tensor, ...}.

    Raises:
        ValueError: the model is no graph of layers, or has no such tap (with near names).
    """
    if not is_graph(model):
        raise ValueError(
            f"model {model.name!r} is a {type(model).__name__}; its features can be tapped by "
            "name only in a Functional or built Sequential model. Let its call() return a dict "
            'with "logits" and the taps.'
        )
    inputs = keras.tree.map_structure(_fresh_input, _graph(model).input)
    features: dict[str, Tensor] = {}
    features |= _named(_walk(model, inputs, replace, "", features))
    outputs = {LOGITS: features[LOGITS]}
    for tap in taps:
        if tap not in features:
            raise ValueError(unknown_tap(model, tap, shapes(features)))
        outputs[tap] = features[tap]
    with _names_apart(outputs):
        return keras.Model(inputs, outputs, name=model.name)


def calls(model: keras.Model) -> list[tuple[Any, Any, Any]]:
    """(operation, the tensors given to it, its output) of every call that the model's graph makes.

    Nested models are entered. Tensors are symbolic; shapes are those of the outer model's input,
    also within a nested model that leaves its own size open. The model is left as it is.

    Raises ValueError for a model that is no graph of layers.
    """
    if not is_graph(model):
        raise ValueError(
            f"model {model.name!r} is a {type(model).__name__}; expected a functional or built "
            "Sequential model, whose layers and connections are known."
        )
    made: list[tuple[Any, Any, Any]] = []

    def spied(operation: Any) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            output = operation.compute_output_spec(*args, **kwargs)
            values = [*args, *(kwargs[name] for name in _ARGUMENTS if name in kwargs)]
            tensors = [value for value in values if _has_tensors(value)]
            made.append((operation, tensors[0] if len(tensors) == 1 else tensors, output))
            return output

        return call

    def bare(tensor: Tensor) -> Tensor:
        return keras.KerasTensor(tensor.shape, tensor.dtype)

    _walk(model, keras.tree.map_structure(bare, _graph(model).input), spied, "", {})
    return made


def is_graph(model: Any) -> bool:
    """True for a model whose layers and connections are known: Functional, built Sequential."""
    return _graph(model) is not None


def logits_of(outputs: Any) -> Tensor:
    """The logits among a model's outputs: the only output, or the entry "logits" of a dict."""
    return _named(outputs)[LOGITS]


def shapes(outputs: dict[str, Tensor]) -> dict[str, tuple[Any, ...]]:
    """Shape of each output, batch axis as None."""
    return {name: (None, *tensor.shape[1:]) for name, tensor in outputs.items()}


def output_shapes(model: keras.Model) -> dict[str, tuple[Any, ...]]:
    """Shape of each of the model's outputs by name, batch axis as None; a single one is "logits".

    Raises ValueError for a model that has not been built or that gives several unnamed outputs.
    """
    given = _graph(model).output if is_graph(model) else run(model, np.zeros)
    outputs = _named(given)
    if isinstance(outputs.get(LOGITS), (list, tuple, type(None))):
        got = sorted(given) if isinstance(given, dict) else f"{len(given)} outputs"
        raise ValueError(
            f"model {model.name!r} gives {got}; expected the logits alone, or a dict of "
            '"logits" and taps. Make a model of that form: keras.Model(model.input, logits).'
        )
    return shapes(outputs)


def run(model: keras.Model, draw: Callable[[tuple[int, ...]], np.ndarray]) -> Any:
    """The model's outputs, in inference mode, on a few examples that `draw` makes from a shape."""
    shapes = input_shapes(model)
    if shapes is None:
        raise ValueError(
            f"model {model.name!r} has not been built, so its shapes are unknown; expected a built "
            "one. Call it once on a batch, or start it with keras.Input(shape)."
        )
    batch = keras.tree.map_shape_structure(
        lambda shape: draw((_FEW, *(size or _ANY_SIZE for size in shape[1:]))), shapes
    )
    with keras.StatelessScope():  # a metric, a counter or a state of a layer stays as it is
        return model(batch, training=False)


def input_shapes(model: keras.Model) -> Any:
    """Shape of each input, in the model's own structure; None for a model that is not built."""
    # A Functional model knows its inputs also where its call() is its own.
    declared = getattr(model, "_functional", None) or model
    if hasattr(declared, "_run_through_graph"):
        return keras.tree.map_structure(lambda tensor: tensor.shape, declared.input)
    return (model.get_build_config() or {}).get("input_shape")


def tail(model: keras.Model) -> list[Any]:
    """Operations from the logits back to the nearest layers with weights; none if not a graph."""
    return _back_from(_named(_graph(model).output)[LOGITS]) if is_graph(model) else []


def unknown_tap(model: keras.Model, tap: str, known: dict[str, tuple[Any, ...]]) -> str:
    """The sentence that tells which taps there are, and of what shape."""
    near = _near(tap, known)
    which = "near ones" if near else "its last ones of each size"
    told = ", ".join(f"{name} {known[name]}" for name in near or _last_of_each_size(known))
    what = (
        "A tap is a layer's name, after the names of the nested models it lies in: "
        "backbone/block4_out."
        if is_graph(model)
        else f"The taps of a {type(model).__name__} are the entries of the dict that its call() "
        "returns; it may return more."
    )
    return (
        f"model {model.name!r} has no tap {tap!r}; {which}, with their shapes: {told}. Name one of "
        f"them in the method (its knobs with 'tap' in their names). {what}"
    )


def _has_tensors(value: Any) -> bool:
    return any(isinstance(part, keras.KerasTensor) for part in keras.tree.flatten(value))


def _near(tap: str, known: Iterable[str]) -> list[str]:
    """Up to four names like `tap`, whole or without the nested models they lie in, best first."""

    def likeness(name: str) -> float:
        ends = name.rpartition("/")[2], tap.rpartition("/")[2]
        pairs = (name, tap), ends
        return max(difflib.SequenceMatcher(None, *pair).ratio() for pair in pairs)

    near = [name for name in known if likeness(name) >= _LIKE]
    return sorted(near, key=likeness, reverse=True)[:4]


def _last_of_each_size(known: dict[str, tuple[Any, ...]]) -> list[str]:
    """The deepest tap of each height and width, and the last vector that is not the logits."""
    inner = {name: shape for name, shape in known.items() if shape != known[LOGITS]}
    return list({shape[1:-1]: name for name, shape in inner.items()}.values())[-8:] or [LOGITS]


def _graph(model: Any) -> Any:
    """The Function that knows the model's graph; None where there is none."""
    call = getattr(type(model), "call", None)
    if call is None or not call.__module__.startswith("keras."):
        return None  # a subclass with a call() of its own does more than its graph says
    if isinstance(model, keras.Sequential):
        model = model._functional
    return model if hasattr(model, "_run_through_graph") else None


def _back_from(tensor: Tensor) -> list[Any]:
    operation = tensor._keras_history.operation
    if is_graph(operation):
        return tail(operation)
    if isinstance(operation, keras.layers.InputLayer) or getattr(operation, "weights", None):
        return [operation]
    before = [_back_from(tensor) for tensor in keras.tree.flatten(operation.input)]
    return [operation, *itertools.chain.from_iterable(before)]


def _named(outputs: Any) -> dict[str, Tensor]:
    """A model's outputs by name; a single one is the logits."""
    if isinstance(outputs, (list, tuple)) and len(outputs) == 1:
        outputs = outputs[0]
    return outputs if isinstance(outputs, dict) else {LOGITS: outputs}


def _fresh_input(tensor: Tensor) -> Tensor:
    return keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)


@contextlib.contextmanager
def _names_apart(outputs: Any) -> Iterator[None]:
    """Numbers operations of one name while the block runs: Keras refuses to build with them.

    Names are unique within each nested model, not over all that are flattened into one.
    """
    found = {id(operation): operation for operation in _operations(outputs)}
    counted = collections.Counter(operation.name for operation in found.values())
    alike = [operation for operation in found.values() if counted[operation.name] > 1]
    names = [operation.name for operation in alike]
    try:
        for number, operation in enumerate(alike):
            operation.name = f"{operation.name}:{number}"
        yield
    finally:
        for operation, name in zip(alike, names, strict=True):
            operation.name = name


def _operations(outputs: Any) -> list[Any]:
    """Every operation that the tensors come from."""
    due, seen = keras.tree.flatten(outputs), {}
    while due:
        history = due.pop()._keras_history
        if history[:2] not in seen:
            operation, node_index, _ = history
            seen[history[:2]] = operation
            due += operation._inbound_nodes[node_index].input_tensors
    return list(seen.values())


def _walk(
    model: Any, inputs: Any, replace: Callable[[Any], Any], path: str, features: dict[str, Tensor]
) -> Tensor:
    """Calls the model's layers in order on `inputs`, keeping every layer's output by its path."""

    def call(layer: Any, *args: Any, **kwargs: Any) -> Tensor:
        if is_graph(layer):
            # A `training=` given to a nested model is overridden by the outer call in Keras too.
            given = args[0] if args else kwargs["inputs"]
            output = _walk(layer, given, replace, f"{path}{layer.name}/", features)
        else:
            output = replace(layer)(*args, **kwargs)
        if hasattr(output, "shape"):  # a layer of several outputs is no tap
            features.setdefault(f"{path}{layer.name}", output)
        return output

    return _graph(model)._run_through_graph(inputs, operation_fn=lambda layer: layer, call_fn=call)
