"""Differentiable searches: pure functions on logits, one vector for each choice of a space."""
