"""The specialists: their training, their server, the client and the opinion store."""
