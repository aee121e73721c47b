"""One plain-text latency table per device and data type, with how it was measured."""
