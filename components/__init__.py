"""One folder a step of the DAG: a thin KFP shell and its README."""
