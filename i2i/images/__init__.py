"""The image contract: bytes, pixels and tensors."""
