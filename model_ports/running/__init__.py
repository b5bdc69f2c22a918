"""From a port and records to embeddings."""
