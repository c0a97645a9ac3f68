"""Settings: the base class of what has settings, and the checks of single values."""
