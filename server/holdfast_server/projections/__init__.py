"""Projections: pure readings of a journal onto the wires of others.

Each takes the events of a log, one after another, and makes frames of another protocol of them. What it makes follows from
what was asked and from the events alone: no clock, no dice, no input or output. So every frame, with its number, can be
made again from the log at any time, and a cursor of any door survives every restart.
"""
