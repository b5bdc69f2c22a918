"""From features to scores: probes of every model on every task, and the table of their scores."""
