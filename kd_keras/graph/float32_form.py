"""A float32 copy of a model whose layers compute in lower precision."""

from typing import Any

import keras

from kd_keras.graph import likeness, precision


def in_float32(model: keras.Model) -> keras.Model:
    """The model itself if all its layers compute in float32; else a float32 copy of it.

    The copy is made from the model's configuration and has its weights, so that layers of the
    user's own need a `get_config`.

    Raises:
        ValueError: the model cannot be made from its configuration.
    """
    lowest_precision = precision.lowest_precision([model])
    if lowest_precision == "float32":
        return model
    try:
        config = keras.saving.serialize_keras_object(model)
        copy = keras.saving.deserialize_keras_object(_with_float32(config))
        if not copy.built:
            copy.build(model.input_shape)
        if not likeness.are_alike(model, copy):
            raise ValueError("the copy has other weights")
        copy.set_weights([weight.astype("float32") for weight in model.get_weights()])
    except (TypeError, ValueError, NotImplementedError, AttributeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"model {model.name!r} computes in {lowest_precision}, and a float32 copy cannot be "
            f"made ({reason}); expected float32 layers. Make it again under "
            "keras.config.set_dtype_policy('float32'), and load its weights."
        ) from error
    copy.trainable = model.trainable
    return copy


def _with_float32(config: Any) -> Any:
    """A serialized Keras object with float32 in the place of every dtype policy."""
    if isinstance(config, (list, tuple)):
        return type(config)(_with_float32(value) for value in config)
    if not isinstance(config, dict):
        return config
    if str(config.get("class_name", "")).endswith("DTypePolicy"):
        return keras.saving.serialize_keras_object(keras.DTypePolicy("float32"))
    return {
        name: "float32" if name == "dtype" and _is_lower(value) else _with_float32(value)
        for name, value in config.items()
    }


def _is_lower(dtype: Any) -> bool:
    return isinstance(dtype, str) and dtype.endswith("float16")
