"""Are generated variants worth having? Measured by networks that no generator ever learned from."""
