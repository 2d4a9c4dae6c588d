"""Models: build, load, save, and let them reply."""
