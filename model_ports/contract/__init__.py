"""What a model family offers and needs; families import it and `layers` alone."""
