"""How the models of a run are trained: optimizer, callbacks, logs and time."""
