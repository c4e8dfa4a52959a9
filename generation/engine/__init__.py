"""What runs inside the GPU process: one denoising loop that merges everybody's jobs."""
