"""Uses trained models from a file or run folder: evaluates, predicts, serves a local page."""
