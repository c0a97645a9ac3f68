"""What trainings may meet: kills, full disks, damaged states, closed pipes."""
