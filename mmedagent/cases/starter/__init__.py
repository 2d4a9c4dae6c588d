"""The starter set: where its images come from and how they are cut."""
