"""Cases: vocabulary, data versions, validation."""
