"""Data sets as versions: declared, made by DVC stages, listed, compared, brought, merged."""
