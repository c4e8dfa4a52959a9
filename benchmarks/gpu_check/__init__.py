"""What ten minutes of a CUDA GPU say about the engine: `python -m benchmarks.gpu_check`."""
