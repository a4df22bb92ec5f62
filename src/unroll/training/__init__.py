"""Training: the loop, its schedules, what it records and the bundle it leaves."""
