"""Whether to believe a run: a ladder from histories traced by hand to a change not fitted."""
