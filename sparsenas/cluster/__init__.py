"""Work on Ray that survives whatever dies: durable, each piece done once."""
