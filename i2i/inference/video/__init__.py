"""Translate videos: read and write them, find cuts, and smooth normalisation statistics over frames."""
