"""Doors: each speaks one protocol to the outside, and reads and opens journals. They do not know each other."""
