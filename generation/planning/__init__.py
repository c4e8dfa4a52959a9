"""What is computed before anything is generated: Params to Params, costs and windows."""
