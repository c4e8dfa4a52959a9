"""The engine inside the GPU process: one denoising loop that batches all jobs."""
