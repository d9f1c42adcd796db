"""Compares finished runs, as text and as a page."""
