"""The one denoising loop."""
