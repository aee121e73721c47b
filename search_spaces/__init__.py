"""One file per search space; each defines `SPACE`."""
