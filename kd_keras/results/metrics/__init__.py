"""Scores of classifiers, and what separates a difference from chance."""
