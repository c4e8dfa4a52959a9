"""Image files: grids, sanitised uploads, metadata and signatures."""
