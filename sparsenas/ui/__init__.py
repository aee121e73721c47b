"""A page on loopback that lists runs and follows those that go on."""
