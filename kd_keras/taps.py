"""One pass that gives a model's logits and named intermediate features."""

import difflib
from collections.abc import Callable, Iterable
from typing import Any

import keras

Tensor = Any
LOGITS = "logits"


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
    inputs = keras.tree.map_structure(_fresh_input, model.input)
    features: dict[str, Tensor] = {}
    logits = _walk(model, inputs, replace, "", features)
    features[LOGITS] = logits
    outputs = {LOGITS: logits}
    for tap in taps:
        if tap not in features:
            raise ValueError(unknown_tap(model, tap, features))
        outputs[tap] = features[tap]
    return keras.Model(inputs, outputs, name=model.name)


def is_graph(model: Any) -> bool:
    """True for a model whose layers and connections are known: Functional, built Sequential."""
    return _graph(model) is not None


def shapes(outputs: dict[str, Tensor]) -> dict[str, tuple[Any, ...]]:
    """Shape of each output, batch axis as None."""
    return {name: (None, *tensor.shape[1:]) for name, tensor in outputs.items()}


def unknown_tap(model: keras.Model, tap: str, features: dict[str, Tensor]) -> str:
    """The sentence that tells which taps there are."""
    near = difflib.get_close_matches(tap, features, n=4, cutoff=0.4) or list(features)[-4:]
    told = ", ".join(f"{name} {tuple(features[name].shape)}" for name in near)
    return (
        f"model {model.name!r} has no tap {tap!r}; near ones with their shapes: {told}. A tap is a "
        "layer's name, after the names of the nested models it lies in: backbone/block4_out."
    )


def _graph(model: Any) -> Any:
    """The Function that knows the model's graph; None where there is none."""
    if isinstance(model, keras.Sequential):
        model = model._functional
    return model if hasattr(model, "_run_through_graph") else None


def _fresh_input(tensor: Tensor) -> Tensor:
    return keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)


def _walk(
    model: Any, inputs: Any, replace: Callable[[Any], Any], path: str, features: dict[str, Tensor]
) -> Tensor:
    """Calls the model's layers in order on `inputs`, keeping every layer's output by its path."""

    def call(layer: Any, *args: Any, **kwargs: Any) -> Tensor:
        if is_graph(layer):
            # A `training=` given to a nested model is overridden by the outer call in Keras too.
            output = _walk(layer, args[0], replace, f"{path}{layer.name}/", features)
        else:
            output = replace(layer)(*args, **kwargs)
        features.setdefault(f"{path}{layer.name}", output)
        return output

    return _graph(model)._run_through_graph(inputs, operation_fn=lambda layer: layer, call_fn=call)
