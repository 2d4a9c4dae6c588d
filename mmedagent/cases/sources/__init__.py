"""Where cases come from: one adapter for each public data set, and one for a hospital's own cases."""
