"""What a run found: `summary.json` for programs, one self-contained HTML page for people."""
