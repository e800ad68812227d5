"""One folder for each package."""
