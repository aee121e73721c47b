"""One file per command: parse, look things up by name, call once."""
