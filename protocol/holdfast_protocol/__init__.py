"""What both ends of a Holdfast connection must agree on. Pure: no clock, no randomness, no input or output."""
