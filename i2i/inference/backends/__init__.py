"""Backends: the libraries that compute a translation."""
