"""Access rules of a server: settings, limits, blocked words, NSFW rules, and the policy that applies them."""
