"""The safetensors file that people share."""
