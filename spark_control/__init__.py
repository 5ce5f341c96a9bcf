"""Spark Control: one OpenAI-compatible address in front of the speech engines of a DGX Spark."""

__version__ = "0.1.0"
