"""The work of `kdk compare`: reads finished runs; `results/comparisons/` compares them."""
