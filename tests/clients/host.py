"""What the story asks of somebody else than the server: a worker, an operator, a mailbox."""

import json
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import attrs

from finora import Finora, Scope


@attrs.frozen
class Host:
    """One tenant's surroundings. Each act takes texts and gives texts."""

    finora: Finora
    scope: Scope

    def work(self) -> dict[str, str]:
        """Run the jobs that wait."""
        self.finora.run_jobs()
        return {}

    def token(self) -> dict[str, str]:
        """One token more."""
        return {"text": self.finora.tokens.create(self.scope, "spare").text}


ACTS: Mapping[str, Callable[..., dict[str, str]]] = {"work": Host.work, "token": Host.token}


@contextmanager
def hosting(host: Host) -> Iterator[str]:
    """Answer `POST /<act>`, whose JSON are the act's arguments; gives the address."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # its name in http.server
            given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                said: Any = ACTS[self.path.strip("/")](host, **given)
                status = 200
            except Exception:
                said, status = {"error": traceback.format_exc()}, 500
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *said: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
