"""Checks of data and models before the first step."""
