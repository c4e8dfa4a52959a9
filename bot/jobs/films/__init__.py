"""Films: what they show, how they are drawn, and videos of how a picture appears."""
