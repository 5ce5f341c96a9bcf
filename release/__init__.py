"""Builds a release, and checks it as its users will meet it: `make dist`, `make release`."""
