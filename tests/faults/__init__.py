"""Fault injection for trainings: kills, full disks, damaged states, closed pipes."""
