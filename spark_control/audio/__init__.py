"""Bytes in, bytes out: what the gateway knows about sound."""
