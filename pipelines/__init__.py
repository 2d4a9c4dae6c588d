"""The DAG, and how it is run: on this machine, compiled, submitted."""
