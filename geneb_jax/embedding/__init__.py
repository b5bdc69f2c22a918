"""From the records of tasks to their features, whatever computes them."""
