"""Conversions from and to remote folders, such as s3://bucket/photos, through fsspec."""
