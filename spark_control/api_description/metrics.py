"""What Prometheus reads."""

from __future__ import annotations

from spark_control.api_description.operations import Paths, answer, operation
from spark_control.api_description.shapes import Schemas, text

SCHEMAS: Schemas = {}

PATHS: Paths = {
    "/metrics": {
        "get": operation(
            "showMetrics",
            "Everything that is counted, timed and seen, for Prometheus.",
            {"200": answer("Prometheus's text format.", {"text/plain": text()})},
            tag="health",
        )
    },
}
