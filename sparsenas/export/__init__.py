"""A trained network as other programs take it."""
