"""Reference networks, as their papers have them: what others publish figures of."""
