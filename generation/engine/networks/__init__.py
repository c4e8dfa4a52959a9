"""Load networks and change them: LoRA, VAE, schedulers, compilation."""
