"""What is told of an error in one line."""

from __future__ import annotations

import pytest

from generation.errors import first_line


@pytest.mark.parametrize(
    ("text", "line"), [("", ""), ("no compiler", "no compiler"), ("CUDA error\nCompile with\r\nDSA", "CUDA error")]
)
def test_of_an_error_its_first_line_is_told(text, line):
    assert first_line(RuntimeError(text)) == line
