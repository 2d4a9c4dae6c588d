"""What is served: the desired version, the model server, and how one replaces the other."""
