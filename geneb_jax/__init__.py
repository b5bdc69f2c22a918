"""The GENEB evaluation: tasks, embeddings, probes' scores, tables (arXiv 2606.04525)."""
