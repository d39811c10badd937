"""What went wrong at an object store, in words of our own: absent, taken, refused, or in passing.

The libraries' texts are never passed on. They hold addresses that people put keys into, signatures
and request headers.
"""

from __future__ import annotations

from dataclasses import dataclass
from errno import EDQUOT, ENOSPC, EROFS
from typing import Literal

__all__ = ["Fault", "FaultKind", "fault_of"]

FaultKind = Literal["absent", "taken", "refused", "passing"]
"""Refused will not mend by itself; passing may."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What a failed request means."""

    kind: FaultKind
    what: str
    todo: str = ""


_DISK = Fault("refused", "there is no space left on this machine's disk", "free some and run again")
_KEYS = "check the keys in the environment (for S3: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)"

# Codes of S3's error responses, which the stores that speak S3 share:
# https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_CODES = {
    "NoSuchKey": Fault("absent", "there is no such object"),
    "NoSuchBucket": Fault("refused", "there is no such bucket", "make the bucket, or mend the URL"),
    "NoSuchUpload": Fault("passing", "an upload in parts was ended there"),
    "InvalidBucketName": Fault("refused", "that is no name for a bucket", "mend the URL"),
    "PreconditionFailed": Fault("taken", "the name is taken"),
    "InvalidAccessKeyId": Fault("refused", "the access key is not known there", _KEYS),
    "SignatureDoesNotMatch": Fault("refused", "the secret key is wrong", _KEYS),
    "AuthFailure": Fault("refused", "the keys are wrong", _KEYS),
    "InvalidToken": Fault("refused", "the session token is wrong", _KEYS),
    "ExpiredToken": Fault("refused", "the session token has expired", "get a new one"),
    "AccessDenied": Fault(
        "refused",
        "access is denied",
        "check the keys and what they may do: list, read, write and delete objects",
    ),
    "RequestTimeTooSkewed": Fault("refused", "this machine's clock is wrong", "set the clock"),
    "NotImplemented": Fault(
        "refused", "it cannot do what is asked", "use a store with If-None-Match"
    ),
}

_STATUSES = {
    401: _CODES["AuthFailure"],
    403: _CODES["AccessDenied"],
    404: _CODES["NoSuchKey"],
    412: _CODES["PreconditionFailed"],
    501: _CODES["NotImplemented"],
}

_PASSING_STATUSES = (408, 409, 425, 429)

_CLASSES = {
    "NoCredentialsError": Fault("refused", "there are no keys", _KEYS),
    "PartialCredentialsError": Fault("refused", "one of the keys is missing", _KEYS),
    "CredentialRetrievalError": Fault("refused", "the keys cannot be had", _KEYS),
    "ProfileNotFound": Fault("refused", "there is no such profile", "check AWS_PROFILE"),
    "ParamValidationError": Fault("refused", "that is no name for a bucket", "mend the URL"),
    "InvalidEndpointConfigurationError": Fault("refused", "the endpoint is wrong", "mend it"),
    "UnsupportedProtocol": Fault("refused", "it cannot do what is asked"),
    "FileNotFoundError": _CODES["NoSuchKey"],
    "FileExistsError": _CODES["PreconditionFailed"],
    "PermissionError": _CODES["AccessDenied"],
    # Of the store's own checksum, where it sends one; what comes next time may be whole.
    "FlexibleChecksumError": Fault("passing", "it does not arrive as it is stored"),
    "NotImplementedError": _CODES["NotImplemented"],
    "ValueError": Fault("refused", "the endpoint or the URL is wrong", "check AWS_ENDPOINT_URL"),
    "TypeError": Fault("refused", "its library cannot do what is asked"),
}


def fault_of(error: BaseException) -> Fault:
    """What `error` means, by the store's own answer where there was one."""
    one: BaseException | None = error
    while one is not None:
        response = getattr(one, "response", None)
        if isinstance(response, dict):
            return _fault_in(response)
        one = one.__cause__
    if isinstance(error, OSError) and error.errno in (ENOSPC, EDQUOT, EROFS):
        return _DISK
    for cls in type(error).__mro__:
        if cls.__name__ in _CLASSES:
            return _CLASSES[cls.__name__]
    # Connections, time-outs and half answers have many classes, and all may be gone next time.
    return Fault("passing", f"it does not answer ({type(error).__name__})")


def _fault_in(response: dict[str, object]) -> Fault:
    """What an S3 error response means."""
    code = str(_inside(response, "Error", "Code"))
    status = _inside(response, "ResponseMetadata", "HTTPStatusCode")
    if code in _CODES:
        return _CODES[code]
    number = status if isinstance(status, int) else int(code) if code.isdigit() else 500
    if number in _STATUSES:
        return _STATUSES[number]
    word = code if code.isalnum() and len(code) < 60 else "error"
    if number >= 500 or number in _PASSING_STATUSES or code in ("SlowDown", "RequestTimeout"):
        return Fault("passing", f"it answers {number} {word}")
    return Fault("refused", f"it answers {number} {word}", "check the URL and the endpoint")


def _inside(response: dict[str, object], part: str, field: str) -> object:
    inner = response.get(part)
    return inner.get(field, "") if isinstance(inner, dict) else ""
