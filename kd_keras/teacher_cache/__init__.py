"""A teacher's outputs on disk, by example and view, in a format that any framework can write."""
