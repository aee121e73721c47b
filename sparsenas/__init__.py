"""SparseNAS: searches for sparse convolutional networks and measures that they are fast."""

__version__ = "0.1.0"
