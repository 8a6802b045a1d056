"""Inference: a trained model translates images, files and folders."""
