"""From the files of a checkpoint to a port."""
