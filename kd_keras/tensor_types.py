"""Types of what flows through a step: tensors, named by their shape and meaning."""

from typing import Any, TypeAlias

# A tensor is one of the backend of Keras, or an array: these have no common class, so the names say
# shape and meaning where a checker cannot.
Tensor: TypeAlias = Any
Images: TypeAlias = Tensor  # (B, H, W, C), uint8 or float, 0 to 255
Labels: TypeAlias = Tensor  # (B,) or (B, 1) int classes, or (B, C) float 0 to 1
Logits: TypeAlias = Tensor  # (B, C) float
ExampleLosses: TypeAlias = Tensor  # (B,) float32, one of each example
LossTerms: TypeAlias = dict[str, Tensor]  # a method's "loss" (B,), and the terms of this sum
Outputs: TypeAlias = dict[str, Tensor]  # a model's features by tap, "logits" among them
Logs: TypeAlias = dict[str, Tensor]  # a metric's name to its scalar
Shapes: TypeAlias = dict[str, tuple[Any, ...]]  # a tap's name to its shape, batch axis first (None)
