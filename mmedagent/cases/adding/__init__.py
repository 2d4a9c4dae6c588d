"""How a release becomes a data version: survey, chunks that workers convert, assembly."""
