"""The mathematics that families are built of."""
