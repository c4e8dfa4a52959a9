"""Look for weights that are no numbers (NaN or infinite), as a training that diverged leaves them, without torch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from generation.errors import UserError
from generation.models.files.safetensors_header import SafetensorsHeader

# At the start every file is looked at. Of larger ones, the beginning of each tensor is: a training that diverges
# spoils whole tensors. The GPU process looks at all values when it uses the file.
MAX_READ = 8 * 2**20  # bytes

# The bits of the exponent, which are all set in what is no number; of the last kind, all others are set too.
_EXPONENTS = {
    "F64": ("<u8", 0x7FF0_0000_0000_0000),
    "F32": ("<u4", 0x7F80_0000),
    "F16": ("<u2", 0x7C00),
    "BF16": ("<u2", 0x7F80),
    "F8_E5M2": ("<u1", 0x7C),
    "F8_E4M3": ("<u1", 0x7F),
}


def require_numbers(path: Path, header: SafetensorsHeader, keys: Iterable[str]) -> None:
    """Raise UserError if a tensor among `keys` has a value that is no number."""
    known = [key for key in keys if header.dtypes[key] in _EXPONENTS]
    size = sum(end - start for start, end in (header.places[key] for key in known))
    share = MAX_READ // max(1, len(known)) if size > MAX_READ else MAX_READ
    with path.open("rb") as file:
        if odd := next((key for key in known if _has_no_number(file, header, key, share)), None):
            raise UserError(f"{path} is unusable: {odd} has values that are no numbers (NaN).")


def _has_no_number(file: BinaryIO, header: SafetensorsHeader, key: str, most: int) -> bool:
    import numpy as np  # here, because it would add a third to the start of a command that reads no weights

    kind, exponent = _EXPONENTS[header.dtypes[key]]
    start, end = header.places[key]
    whole = min(end - start, most) // np.dtype(kind).itemsize * np.dtype(kind).itemsize
    file.seek(start)
    values = np.frombuffer(file.read(whole), kind)
    return bool(((values & values.dtype.type(exponent)) == exponent).any())
