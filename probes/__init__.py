"""Probe heads on frozen embeddings: few-shot sampling, joint fits, metrics. Pure JAX, no files."""
