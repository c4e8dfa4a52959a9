"""Model families that run through stock diffusers pipelines."""
