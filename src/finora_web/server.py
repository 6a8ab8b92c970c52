"""gunicorn around the application. Nothing of the application is imported before its figures have
a folder: the library decides on import whether they are of one process or of several."""

import gc
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finora_adapters import log as logs
from finora_adapters.compose import Opened, open_database
from finora_adapters.settings import Settings

if TYPE_CHECKING:
    from flask import Flask


def serve(settings: Settings, tags: Collection[str] | None = None) -> None:
    """Serve with gunicorn until SIGTERM or SIGINT; requests that run are let end. With `tags` only
    those nouns of the API."""
    from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]  # upstream

    logs.set_up(settings.log_level)
    # One folder a start: figures of processes of the last one would be added to ours.
    folder = Path(tempfile.mkdtemp(prefix="finora-metrics-"))
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    opened: list[Opened] = []
    ending: list[Callable[[], None]] = []

    def close() -> None:
        for each in ending:
            each()
        opened[0].close()

    class Server(BaseApplication):  # type: ignore[misc]  # untyped upstream
        def load_config(self) -> None:
            for name, value in _gunicorn(settings).items():
                self.cfg.set(name, value)
            self.cfg.set("child_exit", _forget)
            self.cfg.set("worker_exit", lambda server, worker: close())
            self.cfg.set("on_exit", lambda server: shutil.rmtree(folder, ignore_errors=True))

        def load(self) -> "Flask":
            # In each process of its own, after the fork: connections cannot be shared.
            from finora_web.main import CLOSING, build

            opened.append(open_database(settings, redis=True))
            app = build(settings, opened[0], folder, tags)
            ending.append(app.extensions[CLOSING])
            # What is here now stays: the collector need not look at it in the midst of a request.
            gc.collect()
            gc.freeze()
            return app

    Server().run()


def _gunicorn(settings: Settings) -> dict[str, Any]:
    from finora_web.connections import Worker

    return {
        "bind": [f"{settings.http_host}:{settings.http_port}"],
        "workers": settings.http_processes,
        "threads": settings.http_threads,
        "worker_class": Worker,
        "timeout": 30,
        "graceful_timeout": settings.drain_s,
        "keepalive": 5,
        "limit_request_line": 8_190,
        "worker_tmp_dir": "/dev/shm" if Path("/dev/shm").is_dir() else None,
        "proc_name": "finora",
        "accesslog": None,
        "logger_class": _logger(),
        "control_socket_disable": True,
    }


def _logger() -> Any:
    from gunicorn.glogging import Logger  # type: ignore[import-untyped]  # upstream

    class Ours(Logger):  # type: ignore[misc]  # untyped upstream
        """Gunicorn's lines among ours, in the same form."""

        def setup(self, cfg: object) -> None:
            self.error_log = logging.getLogger("gunicorn.error")
            self.access_log = logging.getLogger("gunicorn.access")
            for each in (self.error_log, self.access_log):
                each.propagate = True

    return Ours


def _forget(server: object, worker: Any) -> None:
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]  # upstream
