"""Files of a run folder that reports read: scores, checksums, facts on the data."""
