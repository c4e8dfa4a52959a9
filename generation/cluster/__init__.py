"""GPUs of other machines over Ray: its files, the nodes, and the bridges to them."""
