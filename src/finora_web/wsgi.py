"""The application for any WSGI server that calls a factory, by the settings of the environment.

granian --interface wsgi --factory finora_web.wsgi:application
"""

import atexit
import gc

from flask import Flask

from finora_adapters import log as logs
from finora_adapters.compose import open_database
from finora_adapters.settings import from_environment
from finora_web.main import build


def application() -> Flask:
    """One for each process of the server; its connections close when the process ends."""
    settings = from_environment()
    logs.set_up(settings.log_level)
    opened = open_database(settings, redis=True)
    atexit.register(opened.close)
    app = build(settings, opened)
    # What is here now stays: the collector need not look at it in the midst of a request.
    gc.collect()
    gc.freeze()
    return app
