"""Why something could not be remembered."""

from __future__ import annotations


class StoreError(Exception):
    """Why something could not be remembered, and what to do about it, in a sentence or two."""


class Unwritable(StoreError):
    """The disk is full, cannot be written, or fails: nobody is to blame, and it may pass."""


class Damaged(StoreError):
    """What is there is no database of this gateway, or no longer one."""
