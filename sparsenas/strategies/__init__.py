"""Search strategies: pure `init`, `ask`, `tell` over architectures and rewards."""
