"""Recipes: the fields of one, their values and checks, the files that hold them."""
