"""Where servers of tests keep their data."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")
ENOUGH = 6 << 30
"""For the servers of every process of a run, with their logs of what was written."""


@contextmanager
def short_folder(prefix: str) -> Iterator[Path]:
    """A folder that goes in the end; in memory where there is enough, for a commit waits for a disk
    longer than most tests need to run. Processes that die lose nothing of it. Its path is short:
    that of a unix socket has a limit of about a hundred bytes."""
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= ENOUGH
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=MEMORY if roomy else None))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
