"""Measuring pairs of doctors and what they are compared with."""
