"""Where cases come from: adapters for the public data sets, and for a hospital's own."""
