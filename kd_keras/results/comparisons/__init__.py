"""Compares runs: statistics, text lines and a page; `job/compare_command/` reads the runs."""
