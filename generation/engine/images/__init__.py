"""Images and latents: reading, inpainting, constraints, windows, upscaling."""
