"""The object store: the only S3 code, and what is built on it."""
