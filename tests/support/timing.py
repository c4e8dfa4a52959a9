"""How long tests wait. A machine that is shared or slow gets more with ATELIER_TEST_TIMEOUT_SCALE."""

from __future__ import annotations

import os

SCALE = float(os.environ.get("ATELIER_TEST_TIMEOUT_SCALE", "1"))
TIMEOUT_S = 20 * SCALE  # for whatever a test waits for; only a test that fails waits so long
LOAD_TIMEOUT_S = 3 * TIMEOUT_S  # for a process that has to import torch and load a model
TEST_TIMEOUT_S = 9 * TIMEOUT_S  # for a whole test
RESPONSE_TIMEOUT_S = TIMEOUT_S / 2  # for a bot's response; Discord gives it 3 s, on a machine that does nothing else
