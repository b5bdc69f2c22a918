"""Figures of scores for papers: one module a kind of figure, one theme, SVG and PNG."""
