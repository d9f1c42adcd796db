"""Tiny ImageNet: the builder for TensorFlow Datasets, and the way from its archive to a store."""
