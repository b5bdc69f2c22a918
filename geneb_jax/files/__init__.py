"""Small general things about files: whole writes, JSON, names."""
