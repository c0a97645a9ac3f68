"""The lecture's network, and networks that differ from it in one choice."""
