"""The implementations that are compared, behind one interface."""
