"""Training: what one update does, what an epoch does, and where a training stands between two updates."""
