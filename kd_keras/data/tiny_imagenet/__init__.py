"""Tiny ImageNet: its archive read into a store, and a builder for TensorFlow Datasets."""
