"""What errors of the S3 libraries mean."""

from __future__ import annotations

import pytest

from media.object_faults import fault_of


def test_a_line_that_spoils_what_it_carries_is_not_called_silent() -> None:
    exceptions = pytest.importorskip("botocore.exceptions")
    fault = fault_of(exceptions.FlexibleChecksumError(error_msg="expected 1, got 2"))
    assert (fault.kind, fault.what) == ("passing", "it does not arrive as it is stored")
