"""What must outlive the process: spent restarts, incidents, inputs that engines are spared."""

from __future__ import annotations

from spark_control.store.errors import StoreError
from spark_control.store.sqlite import Store

__all__ = ["Store", "StoreError"]
