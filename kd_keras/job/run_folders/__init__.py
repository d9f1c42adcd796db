"""Run folders: the files in them, and the state that a run is in."""
