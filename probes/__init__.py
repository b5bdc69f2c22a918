"""Probe heads on frozen embeddings: few-shot sampling, joint fits, metrics. Pure JAX, no files."""

from probes.evaluate import HeadScore, Probe, evaluate_task
from probes.fewshot import few_shot_rows

__all__ = ["HeadScore", "Probe", "evaluate_task", "few_shot_rows"]
