"""An S3 server of the run's own, and streams that count what is taken from them."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from files.bucket import KEY, REGION, SECRET
from finora_adapters.storage.s3 import S3Objects

HERE = Path(__file__).parent


@attrs.define
class Stream:
    """`size` bytes, never more than 64 KB at once, as a socket gives them."""

    size: int
    begin: bytes = b"%PDF-1.7\n"
    taken: int = 0

    def read(self, size: int, /) -> bytes:
        given = min(size, self.size - self.taken, 1 << 16)
        start = self.begin[self.taken : self.taken + given]
        self.taken += given
        return start + bytes(given - len(start))


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Its URL, and the folder in which each folder is a bucket."""
    folder = tmp_path_factory.mktemp("s3")
    server = subprocess.Popen(
        [sys.executable, str(HERE / "bucket.py"), str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        yield f"http://127.0.0.1:{port}", folder
    finally:
        server.kill()
        server.wait()
        if server.stdout is not None:
            server.stdout.close()


@pytest.fixture
def bucket(s3_server: tuple[str, Path], tmp_path: Path) -> S3Objects:
    """A bucket of the test's own."""
    url, folder = s3_server
    name = f"b{abs(hash(tmp_path)):x}"
    (folder / name).mkdir()
    return S3Objects(name, url, REGION, KEY, SECRET)
