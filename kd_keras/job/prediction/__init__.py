"""Models at work after training: read from a file or run folder, evaluated, shown on a page."""
