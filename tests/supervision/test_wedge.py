from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_control.evidence import Evidence, How
from spark_control.supervision.wedge import Verdict, signature, verdict

STICKY, GPU_LOST, MEMORY = Verdict.STICKY, Verdict.GPU_LOST, Verdict.MEMORY
PERMANENT, UNKNOWN = Verdict.PERMANENT, Verdict.UNKNOWN

PRECEDENCE = [PERMANENT, GPU_LOST, MEMORY, STICKY, UNKNOWN]

ADVICE = (
    "CUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below might "
    "be incorrect.\nFor debugging consider passing CUDA_LAUNCH_BLOCKING=1\n"
    "Compile with `TORCH_USE_CUDA_DSA` to enable device-side assertions.\n"
)
"""What PyTorch says below every CUDA error."""

CUDA_ERRORS = [
    (700, "cudaErrorIllegalAddress", "an illegal memory access was encountered", STICKY),
    (710, "cudaErrorAssert", "device-side assert triggered", STICKY),
    (719, "cudaErrorLaunchFailure", "unspecified launch failure", STICKY),
    (702, "cudaErrorLaunchTimeout", "the launch timed out and was terminated", STICKY),
    (714, "cudaErrorHardwareStackError", "hardware stack error", STICKY),
    (715, "cudaErrorIllegalInstruction", "an illegal instruction was encountered", STICKY),
    (716, "cudaErrorMisalignedAddress", "misaligned address", STICKY),
    (
        717,
        "cudaErrorInvalidAddressSpace",
        "operation not supported on global/shared address space",
        STICKY,
    ),
    (718, "cudaErrorInvalidPc", "invalid program counter", STICKY),
    (721, "cudaErrorTensorMemoryLeak", "tensor memory not completely freed", STICKY),
    (
        226,
        "cudaErrorContained",
        "Invalid access of peer GPU memory over nvlink or a hardware error",
        STICKY,
    ),
    (810, "cudaErrorMpsClientTerminated", "the MPS client has been terminated by the server", STICKY),
    (
        911,
        "cudaErrorExternalDevice",
        "an async error has occured in external entity outside of CUDA",
        STICKY,
    ),
    (214, "cudaErrorECCUncorrectable", "uncorrectable ECC error encountered", GPU_LOST),
    (2, "cudaErrorMemoryAllocation", "out of memory", MEMORY),
    (46, "cudaErrorDevicesUnavailable", "CUDA-capable device(s) is/are busy or unavailable", UNKNOWN),
    (999, "cudaErrorUnknown", "unknown error", STICKY),
    (
        35,
        "cudaErrorInsufficientDriver",
        "CUDA driver version is insufficient for CUDA runtime version",
        PERMANENT,
    ),
    (100, "cudaErrorNoDevice", "no CUDA-capable device is detected", GPU_LOST),
    (
        209,
        "cudaErrorNoKernelImageForDevice",
        "no kernel image is available for execution on the device",
        PERMANENT,
    ),
    (
        222,
        "cudaErrorUnsupportedPtxVersion",
        "the provided PTX was compiled with an unsupported toolchain.",
        PERMANENT,
    ),
    (201, "cudaErrorDeviceUninitialized", "invalid device context", STICKY),
    (709, "cudaErrorContextIsDestroyed", "context is destroyed", STICKY),
    (802, "cudaErrorSystemNotReady", "system not yet initialized", PERMANENT),
    (
        803,
        "cudaErrorSystemDriverMismatch",
        "system has unsupported display driver / cuda driver combination",
        PERMANENT,
    ),
    (
        804,
        "cudaErrorCompatNotSupportedOnDevice",
        "forward compatibility was attempted on non supported HW",
        PERMANENT,
    ),
]

STATUSES = [
    ("CUBLAS_STATUS_EXECUTION_FAILED", STICKY),
    ("CUBLAS_STATUS_INTERNAL_ERROR", STICKY),
    ("CUBLAS_STATUS_MAPPING_ERROR", STICKY),
    ("CUBLAS_STATUS_NOT_INITIALIZED", STICKY),
    ("CUBLAS_STATUS_ALLOC_FAILED", MEMORY),
    ("CUBLAS_STATUS_NOT_SUPPORTED", PERMANENT),
    ("CUBLAS_STATUS_ARCH_MISMATCH", PERMANENT),
    ("CUBLAS_STATUS_INVALID_VALUE", PERMANENT),
    ("CUBLAS_STATUS_LICENSE_ERROR", PERMANENT),
    ("CUDNN_STATUS_EXECUTION_FAILED", STICKY),
    ("CUDNN_STATUS_EXECUTION_FAILED_CUDART", STICKY),
    ("CUDNN_STATUS_INTERNAL_ERROR", STICKY),
    ("CUDNN_STATUS_MAPPING_ERROR", STICKY),
    ("CUDNN_STATUS_NOT_SUPPORTED", PERMANENT),
    ("CUDNN_STATUS_ARCH_MISMATCH", PERMANENT),
    ("CUDNN_STATUS_BAD_PARAM", PERMANENT),
    ("CUDNN_STATUS_ALLOC_FAILED", MEMORY),
    ("CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED", MEMORY),
]

NUMBERED_STATUSES = [
    (13, STICKY),
    (14, STICKY),
    (11, STICKY),
    (1, STICKY),
    (3, MEMORY),
    (15, PERMANENT),
    (8, PERMANENT),
    (7, PERMANENT),
    (16, PERMANENT),
]

OTHER_TEXTS = [
    ("EngineDeadError: EngineCore encountered an issue", STICKY),
    ("CUDA error: invalid context", STICKY),
    ("CUDA_ERROR_ILLEGAL_ADDRESS", STICKY),
    ("CUDA_ERROR_LAUNCH_FAILED: unspecified", STICKY),
    ("cuBLAS failed with status CUBLAS_STATUS_EXECUTION_FAILED", STICKY),
    ("cuFFT error: CUFFT_EXEC_FAILED", STICKY),
    ("NVRM: Xid (PCI:000f:01:00): 31, pid=1234, name=python3", STICKY),
    ("NVRM: Xid (PCI:000f:01:00): 79, GPU has fallen off the bus.", GPU_LOST),
    ("NVRM: Xid (PCI:000f:01:00): 119, pid=1234", GPU_LOST),
    ("Failed to initialize NVML: Unknown Error", GPU_LOST),
    ("RuntimeError: No CUDA GPUs are available", GPU_LOST),
    ("Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU", GPU_LOST),
    ("Unable to determine the device handle for GPU0: GPU is lost", GPU_LOST),
    ("GPU reset required", GPU_LOST),
    ("CUDA out of memory. Tried to allocate 146.00 MiB. GPU 0 has a total capacity of 119 GiB", MEMORY),
    ("torch.OutOfMemoryError", MEMORY),
    ("CUDA_ERROR_OUT_OF_MEMORY", MEMORY),
    ("NvMapMemAllocInternalTagged: 1075072515 error 12", MEMORY),
    ("OSError: [Errno 12] Cannot allocate memory", MEMORY),
    ("terminate called after throwing an instance of 'std::bad_alloc'", MEMORY),
    ("NVIDIA GB10 with CUDA capability sm_121 is not compatible with the current installation", PERMANENT),
]

KNOWN_TEXTS = [
    *((f"CUDA error: {words}\n", means) for _, _, words, means in CUDA_ERRORS),
    *STATUSES,
    *OTHER_TEXTS,
]

HIDDEN = [
    {"detail": "transcription failed"},
    {"detail": "Speech generation failed"},
    {"detail": "CUDA error: invalid argument\n" + ADVICE},
    {"detail": "unknown error"},
    {"error": {"message": "Transcription failed: exit status 1", "type": "server_error"}},
]
"""Failures of engines that do not say what is wrong."""

known_texts = st.sampled_from(KNOWN_TEXTS)


def answered(status: int, body: object) -> Evidence:
    return Evidence(How.STATUS, status, body if isinstance(body, str) else json.dumps(body))


@pytest.mark.parametrize(
    ("shape", "seen", "means"),
    [
        (
            "W1",
            answered(
                500, {"detail": "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx`"}
            ),
            STICKY,
        ),
        (
            "W2",
            answered(
                500,
                {
                    "detail": {
                        "error": "processing_error",
                        "message": "Speech generation failed: CUDA error: device-side assert triggered",
                        "type": "server_error",
                    }
                },
            ),
            STICKY,
        ),
        (
            "W3",
            answered(
                500,
                {"error": "Internal server error", "details": "CUDA error: unspecified launch failure ..."},
            ),
            STICKY,
        ),
        (
            "W4",
            answered(
                500,
                {
                    "error": {
                        "message": "Transcription failed: CUDA failure 700: an illegal memory access was "
                        "encountered ; GPU=0 ; hostname=spark-1",
                        "type": "server_error",
                    }
                },
            ),
            STICKY,
        ),
        ("W5", answered(500, {"detail": "transcription failed"}), UNKNOWN),
        ("W5", answered(500, {"detail": "Speech generation failed"}), UNKNOWN),
        ("W6", answered(500, "Internal Server Error"), UNKNOWN),
        ("W7", answered(500, ""), UNKNOWN),
        ("W8", Evidence(How.CUT, 200), UNKNOWN),
        ("W9", Evidence(How.IMPOSSIBLE, 200, "CUDA error: CUDNN_STATUS_INTERNAL_ERROR"), STICKY),
        ("W9", Evidence(How.IMPOSSIBLE, 200, '{"error":{"message":"EngineDeadError"}}'), STICKY),
        ("W10", Evidence(How.IMPOSSIBLE, 200), UNKNOWN),
        ("W11", Evidence(How.NO_ANSWER), Verdict.HUNG),
        ("W12", Evidence(How.REFUSED), Verdict.UNREACHABLE),
        ("W12", Evidence(How.CUT), UNKNOWN),
    ],
)
def test_each_way_in_which_engines_fail_has_its_verdict(shape: str, seen: Evidence, means: Verdict) -> None:
    assert verdict(seen) is means


@pytest.mark.parametrize(("number", "name", "words", "means"), CUDA_ERRORS)
def test_a_cuda_error_is_known_by_its_words_its_name_and_its_number(
    number: int, name: str, words: str, means: Verdict
) -> None:
    by_words = f"CUDA error: {words}\n{ADVICE}"
    by_name = f"CUDA error: it broke\nSearch for `{name}' in https://docs.nvidia.com/cuda/\n{ADVICE}"
    by_number = f"CUDA failure {number}: it broke ; GPU=0 ; hostname=spark-1 ; expr=cudaStreamSynchronize"

    for text in (by_words, by_words.upper(), by_name, by_number, f"CUDA error {number} at x.cu:30"):
        assert signature(text) is not None
        assert verdict(answered(500, {"detail": text})) is means


@pytest.mark.parametrize(("status", "means"), STATUSES)
def test_a_cublas_or_cudnn_status_is_known_by_its_name(status: str, means: Verdict) -> None:
    text = f"CUDA error: {status} when calling `cublasGemmEx( handle, opa, opb)`"
    assert verdict(answered(500, {"detail": text})) is means
    assert verdict(answered(500, f"cuDNN error: {status}")) is means


@pytest.mark.parametrize(("number", "means"), NUMBERED_STATUSES)
def test_a_cublas_status_is_known_by_its_number(number: int, means: Verdict) -> None:
    assert verdict(answered(500, f"CUBLAS failure {number}: see the log ; GPU=0")) is means


@pytest.mark.parametrize(("text", "means"), OTHER_TEXTS)
def test_other_libraries_words_for_the_same_are_known(text: str, means: Verdict) -> None:
    assert verdict(answered(500, {"detail": text})) is means
    assert verdict(answered(500, {"detail": text.lower()})) is means


@pytest.mark.parametrize("body", HIDDEN)
@pytest.mark.parametrize("status", [500, 502, 504, 505, 599])
def test_what_a_server_does_not_tell_is_for_the_probe_to_find_out(status: int, body: object) -> None:
    assert verdict(answered(status, body)) is UNKNOWN
    assert signature(json.dumps(body)) is None


def test_a_number_that_only_begins_like_a_known_one_is_not_it() -> None:
    assert signature("CUDA failure 7000: x") is None
    assert signature("CUBLAS failure 130: x") is None
    assert signature("cudaErrorAssertion") is None


def test_an_engine_that_says_503_is_loading_unless_it_says_more() -> None:
    assert verdict(answered(503, {"detail": "model is loading"})) is Verdict.LOADING
    assert verdict(answered(503, {"detail": "EngineDeadError"})) is STICKY
    assert verdict(answered(503, {"detail": "CUDA out of memory"})) is MEMORY


@given(st.integers(300, 499) | st.just(501), st.text() | known_texts.map(lambda known: known[0]))
def test_a_refusal_is_never_suspicious_whatever_its_words(status: int, text: str) -> None:
    assert verdict(answered(status, text)) is None


@pytest.mark.parametrize("status", [200, 204, 206])
def test_a_good_answer_is_suspicious_only_if_its_text_tells_of_an_error(status: int) -> None:
    assert verdict(answered(status, {"text": ""})) is None
    assert verdict(answered(status, {"error": "CUDA error: device-side assert triggered"})) is STICKY


@given(st.none() | st.integers(), known_texts.map(lambda known: known[0]))
def test_without_an_answer_there_are_no_words_to_go_by(status: int | None, text: str) -> None:
    assert verdict(Evidence(How.REFUSED, status, text)) is Verdict.UNREACHABLE
    assert verdict(Evidence(How.NO_ANSWER, status, text)) is Verdict.HUNG


quiet = st.text(st.characters(exclude_categories=["L", "N", "P"])) | st.just(ADVICE)
"""Text in which nothing is to be recognised."""


@given(
    st.lists(st.tuples(quiet, known_texts), min_size=1, max_size=8),
    st.sampled_from([How.STATUS, How.CUT, How.IMPOSSIBLE]),
)
def test_of_several_verdicts_the_one_that_forbids_most_holds(
    mixture: list[tuple[str, tuple[str, Verdict]]], how: How
) -> None:
    text = "\n".join(f"{noise}\n{known}" for noise, (known, _) in mixture)
    meant = {means for _, (_, means) in mixture}

    assert verdict(Evidence(how, 500, text)) is next(each for each in PRECEDENCE if each in meant)


@given(
    st.sampled_from(How),
    st.none() | st.integers(),
    st.text(st.characters()) | st.binary().map(lambda body: body.decode("utf-8", "replace")),
)
def test_no_answer_can_make_the_verdict_fail(how: How, status: int | None, text: str) -> None:
    assert verdict(Evidence(how, status, text)) in (None, *Verdict)


@given(st.lists(st.text(st.characters()) | known_texts.map(lambda known: known[0])).map(" ".join))
def test_the_words_that_were_recognised_are_short_plain_and_known(text: str) -> None:
    known = signature(text)

    assert known is None or (known.isascii() and known.isprintable() and len(known) < 80)
    assert known is not None or verdict(Evidence(How.CUT, None, text)) is UNKNOWN


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `x`", "CUBLAS_STATUS_EXECUTION_FAILED"),
        ("an illegal\n    memory access was encountered", "illegal memory access"),
        ("CUDNN_STATUS_BAD_PARAM_of_alice", "CUDNN_STATUS_BAD_PARAM"),
        ("an illegal memory acceſſ", None),
        ("Bearer abc", None),
    ],
)
def test_only_words_that_are_known_are_quoted(text: str, words: str | None) -> None:
    assert signature(text) == words
