"""The study that the paper did not run: rows, cells, statistics and their page."""
