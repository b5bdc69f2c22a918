"""Straightforward PyTorch computations of the families, to measure the ports against."""
