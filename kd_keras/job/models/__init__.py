"""The Keras models of a run."""
