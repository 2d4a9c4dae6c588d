"""Findings: what a whole data set has that no single row shows, and what people said of it."""
