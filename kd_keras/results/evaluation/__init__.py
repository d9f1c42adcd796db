"""Evaluates one model on one split: scores by class, confusions, wrong images."""
