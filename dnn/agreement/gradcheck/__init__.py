"""Compare a backward of your own with finite differences, and say what is probably wrong."""
