"""Accept, run, post and cancel jobs, and resume them after a restart."""
