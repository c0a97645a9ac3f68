"""The lecture's experiment, and those that it descends from, one change at a time."""
