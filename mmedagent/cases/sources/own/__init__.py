"""A hospital's own cases: images in a folder, one table, a mapping file that names its columns."""
