"""MMedAgent-RL in production: the library. Everything that is computed, and no KFP."""
