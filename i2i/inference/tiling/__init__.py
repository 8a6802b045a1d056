"""Images of any size in bounded memory."""
