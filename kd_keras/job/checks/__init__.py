"""Checks of a recipe and its teacher before training."""
