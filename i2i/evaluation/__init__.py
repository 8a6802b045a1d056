"""Scores of a model on held-out images, with bootstrap confidence intervals."""
