"""Callbacks of `fit`: checkpoints, early stopping, NaN, norms of gradients."""
