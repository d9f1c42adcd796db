"""Run folders: what lies in them and what state a run is in."""
