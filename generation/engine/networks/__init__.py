"""Loading networks and changing them: LoRA, VAE, schedulers, compiling."""
