"""The first line of an error's text."""

from __future__ import annotations

import pytest

from generation.errors import first_line


@pytest.mark.parametrize(
    ("text", "line"), [("", ""), ("no compiler", "no compiler"), ("CUDA error\nCompile with\r\nDSA", "CUDA error")]
)
def test_the_first_line_of_an_error_is_returned(text, line):
    assert first_line(RuntimeError(text)) == line
