"""Measurements: what takes too long, or depends too much on the machine, to be a test."""
