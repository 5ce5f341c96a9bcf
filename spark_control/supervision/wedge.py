"""Does this answer mean that the engine has wedged? Pure, and mostly data.

The text of an error is only a fast path, since many servers hide it: what it
says decides how the engine is treated, and a canary decides whether it is so.
Where a text fits several verdicts, the first of these holds:

    permanent   wrong build, wrong driver or wrong argument: a restart cannot help
    gpu_lost    no GPU to be seen: one restart, then a person
    memory      too little of it, which may pass
    sticky      the CUDA context is dead until its process is
    unknown     something is wrong, and no text says what

CUDA's own names, numbers and words are those of its `driver_types.h`; those
whose description says that "the process must be terminated and relaunched"
are sticky.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum

from spark_control.evidence import Evidence, How


class Verdict(StrEnum):
    """What a failure means for the engine."""

    STICKY = "sticky"
    GPU_LOST = "gpu_lost"
    MEMORY = "memory"
    PERMANENT = "permanent"
    UNKNOWN = "unknown"
    HUNG = "hung"
    UNREACHABLE = "unreachable"
    LOADING = "loading"


_PRECEDENCE = (Verdict.PERMANENT, Verdict.GPU_LOST, Verdict.MEMORY, Verdict.STICKY, Verdict.UNKNOWN)

_CUDA_ERRORS = (
    # number, cudaError…, a pattern of its words, what it means
    (700, "IllegalAddress", "illegal memory access", Verdict.STICKY),
    # PyTorch advises to "enable device-side assertions" below every CUDA error there is.
    (710, "Assert", "device-side assert(?!ion)", Verdict.STICKY),
    (719, "LaunchFailure", "unspecified launch failure", Verdict.STICKY),
    (702, "LaunchTimeout", "launch timed out", Verdict.STICKY),
    (714, "HardwareStackError", "hardware stack error", Verdict.STICKY),
    (715, "IllegalInstruction", "illegal instruction", Verdict.STICKY),
    (716, "MisalignedAddress", "misaligned address", Verdict.STICKY),
    (717, "InvalidAddressSpace", "not supported on global/shared address space", Verdict.STICKY),
    (718, "InvalidPc", "invalid program counter", Verdict.STICKY),
    (721, "TensorMemoryLeak", "tensor memory not completely freed", Verdict.STICKY),
    (226, "Contained", "invalid access of peer GPU memory", Verdict.STICKY),
    (810, "MpsClientTerminated", "MPS client has been terminated", Verdict.STICKY),
    (911, "ExternalDevice", "external entity outside of CUDA", Verdict.STICKY),
    # The text of these two promises no death, but the process has lost its context and gets no other.
    (201, "DeviceUninitialized", "invalid (?:device )?context", Verdict.STICKY),
    (709, "ContextIsDestroyed", "context is destroyed", Verdict.STICKY),
    # Its words alone, "unknown error", are anybody's.
    (999, "Unknown", "CUDA error: unknown error", Verdict.STICKY),
    (214, "ECCUncorrectable", "uncorrectable ECC", Verdict.GPU_LOST),
    (100, "NoDevice", "no CUDA-capable device", Verdict.GPU_LOST),
    (2, "MemoryAllocation", "out of memory", Verdict.MEMORY),
    (46, "DevicesUnavailable", "device(?:s|\\(s\\))? (?:is|are|is/are) busy or unavailable", Verdict.UNKNOWN),
    (35, "InsufficientDriver", "driver version is insufficient", Verdict.PERMANENT),
    (209, "NoKernelImageForDevice", "no kernel image is available", Verdict.PERMANENT),
    (222, "UnsupportedPtxVersion", "compiled with an unsupported toolchain", Verdict.PERMANENT),
    (802, "SystemNotReady", "system not yet initialized", Verdict.PERMANENT),
    (803, "SystemDriverMismatch", "unsupported display driver", Verdict.PERMANENT),
    (804, "CompatNotSupportedOnDevice", "forward compatibility was attempted", Verdict.PERMANENT),
)

_CUBLAS_STATUSES = (
    (13, "EXECUTION_FAILED", Verdict.STICKY),
    (14, "INTERNAL_ERROR", Verdict.STICKY),
    (11, "MAPPING_ERROR", Verdict.STICKY),
    (1, "NOT_INITIALIZED", Verdict.STICKY),
    (3, "ALLOC_FAILED", Verdict.MEMORY),
    (15, "NOT_SUPPORTED", Verdict.PERMANENT),
    (8, "ARCH_MISMATCH", Verdict.PERMANENT),
    (7, "INVALID_VALUE", Verdict.PERMANENT),
    (16, "LICENSE_ERROR", Verdict.PERMANENT),
)

_CUDNN_STATUSES = (
    # cuDNN 9 appends a more exact cause to some of them: EXECUTION_FAILED_CUDART.
    ("EXECUTION_FAILED", Verdict.STICKY),
    ("INTERNAL_ERROR", Verdict.STICKY),
    ("MAPPING_ERROR", Verdict.STICKY),
    ("NOT_INITIALIZED", Verdict.STICKY),
    ("ALLOC_FAILED", Verdict.MEMORY),
    ("INTERNAL_ERROR_(?:HOST|DEVICE)_ALLOCATION_FAILED", Verdict.MEMORY),
    ("NOT_SUPPORTED", Verdict.PERMANENT),
    ("ARCH_MISMATCH", Verdict.PERMANENT),
    ("BAD_PARAM", Verdict.PERMANENT),
)

_XIDS = (
    # The kernel's numbers, by what NVIDIA says to do: restart the application; reset the GPU, or the machine.
    ("8|31|41", Verdict.STICKY),
    ("46|48|79|95|119|120", Verdict.GPU_LOST),
)

_OTHER_WORDS = (
    ("CUDA_ERROR_LAUNCH_FAILED", Verdict.STICKY),
    ("CUFFT_(?:EXEC_FAILED|INTERNAL_ERROR)", Verdict.STICKY),
    ("EngineDeadError", Verdict.STICKY),
    # After `systemctl daemon-reload` on the host a container may no longer see its GPU. Its restart brings it back.
    ("initialize NVML", Verdict.GPU_LOST),
    ("no CUDA GPUs are available", Verdict.GPU_LOST),
    ("found no NVIDIA driver", Verdict.GPU_LOST),
    ("fallen off the bus", Verdict.GPU_LOST),
    ("GPU is lost", Verdict.GPU_LOST),
    ("reset required", Verdict.GPU_LOST),
    ("out_?of_?memory", Verdict.MEMORY),
    ("cannot allocate memory", Verdict.MEMORY),
    ("std::bad_alloc", Verdict.MEMORY),
    ("NvMapMemAlloc", Verdict.MEMORY),
    ("CUFFT_ALLOC_FAILED", Verdict.MEMORY),
    ("sm_12\\d+ is not compatible", Verdict.PERMANENT),
    ("ARCH_MISMATCH", Verdict.PERMANENT),
)


def _known_texts() -> Iterator[tuple[str, Verdict]]:
    """Every pattern of the tables, with what it means."""
    for number, name, words, means in _CUDA_ERRORS:
        yield words, means
        # The driver has nearly the same names: cudaErrorIllegalAddress is CUDA_ERROR_ILLEGAL_ADDRESS there.
        yield "cuda_?error" + re.sub("(?=[A-Z])", "_?", name) + "(?![a-z])", means
        yield f"cuda (?:failure|error)(?: code)?\\W{{0,3}}{number}(?!\\d)", means
    for number, name, means in _CUBLAS_STATUSES:
        yield f"CUBLAS_STATUS_{name}", means
        yield f"cublas (?:failure|error)\\W{{0,3}}{number}(?!\\d)", means
    for name, means in _CUDNN_STATUSES:
        yield f"CUDNN_STATUS_{name}", means
    for numbers, means in _XIDS:
        yield f"Xid \\([\\w:.]{{1,40}}\\): (?:{numbers})(?!\\d)", means
    yield from _OTHER_WORDS


def _recogniser(verdict: Verdict) -> re.Pattern[str]:
    patterns = "|".join(pattern for pattern, means in _known_texts() if means is verdict)
    # Blanks stand for any: a log may have broken the line. ASCII, so that what was recognised is fit to be shown.
    return re.compile(patterns.replace(" ", r"\s+"), re.IGNORECASE | re.ASCII)


_RECOGNISERS = tuple((each, _recogniser(each)) for each in _PRECEDENCE)


def verdict(seen: Evidence) -> Verdict | None:
    """What it means for the engine; None if it is no reason to doubt it."""
    match seen.how:
        case How.REFUSED:
            return Verdict.UNREACHABLE
        case How.NO_ANSWER:
            return Verdict.HUNG
        case How.STATUS:
            return _of_status(seen.status or 0, seen.text)
        case How.CUT | How.IMPOSSIBLE:
            return _of_text(seen.text) or Verdict.UNKNOWN


def signature(text: str) -> str | None:
    """The words by which a text was recognised. They are ours as much as the engine's, so they may be shown."""
    known = _recognised(text)
    return " ".join(known[1].split()) if known else None


def _of_status(status: int, text: str) -> Verdict | None:
    if 300 <= status < 500 or status == 501:
        return None  # the request was wrong, or its time was: the engine is well enough to say so
    if status < 500:
        return _of_text(text)
    return _of_text(text) or (Verdict.LOADING if status == 503 else Verdict.UNKNOWN)


def _of_text(text: str) -> Verdict | None:
    known = _recognised(text)
    return known[0] if known else None


def _recognised(text: str) -> tuple[Verdict, str] | None:
    for means, pattern in _RECOGNISERS:
        if found := pattern.search(text):
            return means, found.group()
    return None
