"""The component `warm_start`."""
