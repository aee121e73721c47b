"""One file per search space; each defines `make(side)`, and `SPACE` for images of its usual side."""
