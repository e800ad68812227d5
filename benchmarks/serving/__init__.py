"""What serving costs over the work itself, measured side by side; see README.md."""
