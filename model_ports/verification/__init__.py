"""Ports against the outputs of the original code."""
