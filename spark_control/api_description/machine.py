"""How the machines are: `/api/machine`."""

from __future__ import annotations

from spark_control.api_description.operations import Paths, operation, told
from spark_control.api_description.shapes import (
    Schema,
    Schemas,
    always,
    count,
    flag,
    listing,
    maybe,
    moment,
    number,
    text,
    the,
    thing,
)

_CHARTS = {
    "memory_used": "Bytes.",
    "gpu": "Percent of the busiest.",
    "temperature": "Degrees Celsius of the hottest.",
    "power": "Watts of all together.",
    "load": "Of one minute.",
}

_MEMORY = thing(
    "What has no `available` is in use; the page cache counts as available.",
    {
        "total": count("Bytes."),
        "available": count("Bytes."),
        "pressure": maybe(
            number("Percent of the last ten seconds in which work waited for memory.", minimum=0)
        ),
        "swap_total": count("Bytes."),
        "swap_free": count("Bytes."),
    },
)
_GPU = thing(
    "One GPU; what it does not tell is null.",
    {
        "name": text(),
        "utilisation": maybe(number("Percent.", minimum=0, maximum=100)),
        "temperature": maybe(number("Degrees Celsius.")),
        "power": maybe(number("Watts.", minimum=0)),
        "memory_used": maybe(count("Bytes; null where it shares the machine's memory.")),
        "memory_total": maybe(count("Bytes, likewise.")),
    },
)
_PROCESS = thing(
    "A process that computes on the GPU.",
    {"pid": count(), "name": text(), "bytes": maybe(count("Bytes that it holds there."))},
)
_XID = thing(
    "A fault of the GPU that its driver reported.",
    {
        "at": moment("When."),
        "number": count("NVIDIA's number of it."),
        "meaning": text("That in words."),
        "text": text("What the driver wrote."),
    },
)
_DISK = thing("", {"path": text("A folder on it."), "total": count("Bytes."), "free": count("Bytes.")})


def _chart(description: str) -> Schema:
    return listing(maybe(number()), description)


SCHEMAS: Schemas = {
    "Machine": thing(
        "How a machine is, as it was last seen.",
        {
            "name": text(),
            "local": flag("Whether the gateway runs on it."),
            "at": moment("When it was seen."),
            "problem": maybe(text("Why it was not seen. What is known of it is then null or empty.")),
            "memory": maybe(_MEMORY),
            "load": maybe(listing(number(minimum=0), "Of 1, 5 and 15 minutes.", minItems=3, maxItems=3)),
            "cpus": maybe(count(minimum=1)),
            "disks": listing(_DISK),
            "gpus": listing(_GPU),
            "gpu_problem": maybe(text("Why nothing is known of a GPU.")),
            "processes": listing(_PROCESS, "The largest first."),
            "xids": listing(_XID, "The newest first."),
            "history": thing(
                "The means of quarters of an hour, the last of which is the present one; null where nothing is known.",
                {"hours": count(), **{name: _chart(meaning) for name, meaning in _CHARTS.items()}},
            ),
        },
    ),
    "MachineList": thing("", {"machines": listing(the("Machine"), "The gateway's own first.")}),
    "Fault": thing(
        "A machine's GPU failed.",
        {
            "at": moment("When it became known."),
            "machine": text(),
            "what": always("xid"),
            "detail": text("What that means."),
            "number": count("NVIDIA's number of it."),
        },
    ),
}

PATHS: Paths = {
    "/api/machine": {
        "get": operation(
            "showMachines",
            "How the machines are: memory, GPU, load, disks.",
            {"200": told("The machines.", "MachineList")},
            tag="admin",
        )
    },
}
