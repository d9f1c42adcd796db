"""The store: all pixels of a dataset in one memory-mapped file."""
