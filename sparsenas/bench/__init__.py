"""Measures what this project claims, beside a bound or a peer in the same run."""
