"""What Discord's API refuses."""
