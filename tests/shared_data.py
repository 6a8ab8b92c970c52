"""Where the real inputs lie that nobody on this project wrote; read in place, never copied."""

from pathlib import Path

import pytest

SHARED: Path = Path(__file__).parents[1].parent / "shared" / "data"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="../shared/data is absent")
