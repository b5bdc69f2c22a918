"""What is measured: one script a question, each against its peer in the same run."""
