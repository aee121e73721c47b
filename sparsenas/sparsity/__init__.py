"""Which weights are zero: patterns, schedules and the masks that follow from them."""
