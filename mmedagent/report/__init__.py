"""One page a run."""
