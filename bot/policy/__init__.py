"""Who may do what, where and how much: the owners' rules, and the one place that applies them."""
