import pytest
from pytest_httpserver import HTTPServer

from upstream.sources import Stub


@pytest.fixture
def stub(httpserver: HTTPServer) -> Stub:
    return Stub(httpserver).start()
