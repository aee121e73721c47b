"""One short file per reproducible run; each defines `EXPERIMENT`."""
