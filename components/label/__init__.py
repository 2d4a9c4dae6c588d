"""The component `label`."""
