"""Tasks: what the benchmark holds, task files read and checked, generated tasks."""
