"""Model files: one safetensors file with all that rebuilds and describes a run's generators, and no pickle."""

from i2i.model_file.model_file import FORMAT, Model, load_model, read_header, save_model

__all__ = ["FORMAT", "Model", "load_model", "read_header", "save_model"]
