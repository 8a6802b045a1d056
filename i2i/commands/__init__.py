"""The commands of `i2i`, a module each: its flags, and `run`, which imports what it needs when it runs."""
