"""Translate an image of any size tile by tile, in bounded memory."""
