"""Pictures made by a run."""
