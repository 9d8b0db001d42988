"""The core as it is, on a simulated loop: one seed is one run, and a pure checker reads what is left of it."""
