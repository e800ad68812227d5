"""Tests of both halves; ``unit`` mirrors the packages."""

from serving import environment

# Before anything imports gRPC, which reads its variables then: the servers of the tests are to be
# like those that are shipped.
environment.prepare()
