"""What others rely on: the bundle, the wire, the imports."""
