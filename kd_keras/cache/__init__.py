"""A teacher's outputs on disk, by example and view: computed once, read by every student.

`making.make` writes one, `reading.Cache` reads it, `layout` is the format.
"""
