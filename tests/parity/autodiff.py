"""Values and gradients of a function of arrays, on whichever backend Keras runs."""

import keras
import numpy as np


def values_and_gradients(function, arrays, pairs):
    """Runs `function(tensors)` and differentiates some of its named results.

    Args:
        function: dict of tensors to dict of named results.
        arrays: dict of numpy arrays, what `function` takes.
        pairs: (result, array) of which the gradient is computed; results are averaged first.

    Returns:
        results: dict of numpy arrays. gradients: dict from the pairs to numpy arrays.
    """
    backend = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[keras.backend.backend()]
    by_result = {}
    for result, array in pairs:
        by_result.setdefault(result, []).append(array)
    results, gradients = backend(function, arrays, by_result)
    return {k: np.asarray(v) for k, v in results.items()}, gradients


def _tensorflow(function, arrays, by_result):
    import tensorflow as tf

    tensors = {name: tf.constant(value) for name, value in arrays.items()}
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([t for t in tensors.values() if t.dtype.is_floating])
        results = function(tensors)
        means = {name: tf.reduce_mean(results[name]) for name in by_result}
    gradients = {}
    for result, names in by_result.items():
        slopes = tape.gradient(
            means[result],
            [tensors[n] for n in names],
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        gradients |= {(result, n): g.numpy() for n, g in zip(names, slopes, strict=True)}
    return results, gradients


def _jax(function, arrays, by_result):
    import jax
    import jax.numpy as jnp

    # Compiling is nearly all of the time: a third less without optimizations.
    jax.config.update("jax_disable_most_optimizations", True)
    tensors = {name: jnp.asarray(value) for name, value in arrays.items()}
    if not by_result:
        return jax.jit(lambda: function(tensors))(), {}
    gradients = {}
    for result, names in by_result.items():

        def scalar(chosen, result=result):
            results = function({**tensors, **chosen})
            return jnp.mean(results[result]), results

        # One compilation gives values and gradients; what needs none is a constant in it.
        compiled = jax.jit(jax.grad(scalar, has_aux=True))
        slopes, results = compiled({n: tensors[n] for n in names})
        gradients |= {(result, n): np.asarray(slopes[n]) for n in names}
    return results, gradients


def _torch(function, arrays, by_result):
    import torch

    tensors = {name: torch.as_tensor(value) for name, value in arrays.items()}
    for tensor in tensors.values():
        if tensor.is_floating_point():
            tensor.requires_grad_()
    results = function(tensors)
    gradients = {}
    for result, names in by_result.items():
        inputs = [tensors[n] for n in names]
        slopes = torch.autograd.grad(
            results[result].mean(), inputs, retain_graph=True, allow_unused=True
        )
        for name, value, gradient in zip(names, inputs, slopes, strict=True):
            gradients[result, name] = (
                np.zeros(value.shape, "float32") if gradient is None else gradient.numpy()
            )
    return {k: keras.ops.convert_to_numpy(v) for k, v in results.items()}, gradients
