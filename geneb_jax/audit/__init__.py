"""The audit of a task: what of it can be answered without knowing any biology."""
