"""Keeping the engines alive: what a failure means, what to do about it, and how it is done."""
