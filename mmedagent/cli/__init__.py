"""The commands of `mmedagent` that need no pipeline."""
