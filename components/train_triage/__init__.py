"""The component `train_triage`."""
