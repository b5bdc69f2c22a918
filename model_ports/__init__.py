"""Flax ports of genomic foundation models, and the means to load and verify them."""
