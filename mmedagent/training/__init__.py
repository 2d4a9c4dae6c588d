"""Training: the supervised warm start and the reinforcement learning of both doctors."""
