"""The child process in which llama.cpp's HTTP server runs. Run as a file, never imported; needs no module of ours.

It gets its orders as one JSON line on stdin (never in its arguments, which every user of the machine can read), answers
with one JSON line on stdout, and ends when stdin does: whoever holds the other end need only die for it to be gone.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any, Final, TextIO

ORPHAN_CHECK_S: Final = 1.0


def main() -> None:
    """Serve until the parent is gone."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as report:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        threading.Thread(target=_end_when_orphaned, args=(os.getppid(),), daemon=True).start()
        line = sys.stdin.readline()
        if not line:
            return
        orders: dict[str, Any] = json.loads(line)
        _serve(orders, report)


def _serve(orders: dict[str, Any], report: TextIO) -> None:
    try:
        import xllamacpp
    except Exception as error:  # noqa: BLE001 - whatever keeps a binary package from loading is told to the parent
        _tell(report, orders, fault=f"xllamacpp cannot be loaded ({type(error).__name__})")
        return
    parameters = xllamacpp.CommonParams()
    parameters.model.path = orders["model"]
    parameters.model_alias = {orders["name"]}
    parameters.api_keys = [orders["key"]]
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_ctx = orders["context_tokens"]
    parameters.n_parallel = orders["slots"]
    parameters.cpuparams.n_threads = orders["threads"]
    parameters.cpuparams_batch.n_threads = orders["threads"]
    parameters.cache_ram_mib = 0  # its default keeps up to 8 GiB of old prompts
    parameters.offline = True
    parameters.ui = False
    parameters.verbosity = -1
    try:
        server = xllamacpp.Server(parameters)
    except RuntimeError:
        _tell(report, orders, fault="llama.cpp cannot load the model file")
        return
    _tell(report, orders, address=server.listening_address)
    sys.stdin.read()  # to its end: the parent stopped us, or died
    os._exit(0)  # at once: the server's own farewell would wait for answers that nobody reads any more


def _tell(report: TextIO, orders: dict[str, Any], **said: str) -> None:
    json.dump({"nonce": orders["nonce"], **said}, report)
    report.write("\n")
    report.flush()


def _end_when_orphaned(parent: int) -> None:
    """End when the parent is gone, even while a fork of it still holds the other end of stdin."""
    pause = threading.Event()
    while os.name == "posix" and not pause.wait(ORPHAN_CHECK_S):
        if os.getppid() != parent:
            os._exit(0)


if __name__ == "__main__":
    main()
