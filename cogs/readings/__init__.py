"""/shorten and /describe: what a prompt or a picture says."""
