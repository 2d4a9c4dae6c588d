"""The component `train_attending`."""
