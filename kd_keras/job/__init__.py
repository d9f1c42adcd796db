"""What `kdk train` and `kdk cache` do, from a recipe to the results."""
