"""One file for each module."""
