"""Code generated from ``protos/`` by ``make protos``; the only copy, never edited by hand."""
