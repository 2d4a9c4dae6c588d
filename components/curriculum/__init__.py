"""The component `curriculum`."""
