"""The images that a run trains on."""
