"""The checks of `kdk doctor`: each file checks one part of what a run needs."""
