"""Planning before generation: params of actions, guidance, costs and windows."""
