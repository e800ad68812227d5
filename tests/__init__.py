"""Tests of both halves; ``unit`` mirrors the packages."""
