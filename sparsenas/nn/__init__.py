"""Layers: the primitives, one per file, and the modules that hold their weights."""
