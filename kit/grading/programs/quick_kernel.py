"""A kernel for notebooks of graders. It starts in a tenth of the time that ipykernel takes.

    python quick_kernel.py CONNECTION_FILE

It executes Python with `exec`, and no more: no magics, no display, no completion. Standard library
and ZeroMQ only: the imports are what makes a kernel slow to start. The messages are those of
https://jupyter-client.readthedocs.io/en/stable/messaging.html.
"""

import contextlib
import hashlib
import hmac
import io
import json
import os
import signal
import sys
import threading
import time
import traceback
import uuid
from pathlib import Path
from typing import Any

import zmq

DELIMITER = b"<IDS|MSG>"
VERSION = "5.3"  # of the messages
INFO = {
    "status": "ok",
    "protocol_version": VERSION,
    "implementation": "quick_kernel",
    "implementation_version": "1",
    "language_info": {"name": "python", "mimetype": "text/x-python", "file_extension": ".py"},
    "banner": "",
}


class Kernel:
    """Answers requests, one after the other. Shutdown and heartbeat have threads of their own."""

    def __init__(self, connection: dict[str, Any]) -> None:
        self._connection = connection
        self._context = zmq.Context()
        self._key = str(connection["key"]).encode()
        self._names: dict[str, Any] = {"__name__": "__main__"}
        self._count = 0
        self._shell = self._bind(zmq.ROUTER, "shell_port")
        self._iopub = self._bind(zmq.PUB, "iopub_port")
        self._bind(zmq.ROUTER, "stdin_port")  # a client connects to it, and asks nothing
        for serve in (self._serve_control, self._serve_heartbeat):
            threading.Thread(target=serve, daemon=True).start()

    def serve(self) -> None:
        """Answer requests without end."""
        while True:
            idents, request = self._receive(self._shell)
            self._publish(request, "status", {"execution_state": "busy"})
            kind = request["header"]["msg_type"]
            content = INFO
            if kind == "execute_request":
                content = self._execute(request, str(request["content"]["code"]))
            self._send(self._shell, idents, request, kind.replace("_request", "_reply"), content)
            self._publish(request, "status", {"execution_state": "idle"})

    def _execute(self, request: dict[str, Any], code: str) -> dict[str, Any]:
        self._count += 1
        printed = io.StringIO()
        content: dict[str, Any] = {"status": "ok", "user_expressions": {}}
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            with contextlib.redirect_stdout(printed):
                exec(code, self._names)
        except (Exception, KeyboardInterrupt) as error:
            lines = traceback.format_exc().splitlines()
            content = {"ename": type(error).__name__, "evalue": str(error), "traceback": lines}
            self._publish(request, "error", content)
            content["status"] = "error"
        finally:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        if text := printed.getvalue():
            self._publish(request, "stream", {"name": "stdout", "text": text})
        return {**content, "execution_count": self._count}

    def _serve_control(self) -> None:
        socket = self._bind(zmq.ROUTER, "control_port")
        while True:
            idents, request = self._receive(socket)
            kind = request["header"]["msg_type"]
            content = INFO if kind == "kernel_info_request" else request["content"]
            self._send(socket, idents, request, kind.replace("_request", "_reply"), content)
            if kind == "shutdown_request":
                time.sleep(0.05)  # until the answer is on its way
                os._exit(0)

    def _serve_heartbeat(self) -> None:
        socket = self._bind(zmq.REP, "hb_port")
        while True:
            socket.send(socket.recv())

    def _bind(self, kind: int, port: str) -> "zmq.Socket[bytes]":
        socket: zmq.Socket[bytes] = self._context.socket(kind)
        joint = ":" if self._connection["transport"] == "tcp" else "-"
        address = f"{self._connection['ip']}{joint}{self._connection[port]}"
        socket.bind(f"{self._connection['transport']}://{address}")
        return socket

    def _receive(self, socket: "zmq.Socket[bytes]") -> tuple[list[bytes], dict[str, Any]]:
        parts = socket.recv_multipart()
        start = parts.index(DELIMITER)
        header, _, _, content = (json.loads(part) for part in parts[start + 2 : start + 6])
        return parts[:start], {"header": header, "content": content}

    def _publish(self, request: dict[str, Any], kind: str, content: dict[str, Any]) -> None:
        self._send(self._iopub, [kind.encode()], request, kind, content)

    def _send(
        self,
        socket: "zmq.Socket[bytes]",
        idents: list[bytes],
        request: dict[str, Any],
        kind: str,
        content: dict[str, Any],
    ) -> None:
        header = {
            "msg_id": uuid.uuid4().hex,
            "session": request["header"]["session"],
            "username": "kernel",
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "msg_type": kind,
            "version": VERSION,
        }
        parts = [json.dumps(part).encode() for part in (header, request["header"], {}, content)]
        signature = hmac.new(self._key, digestmod=hashlib.sha256)
        for part in parts:
            signature.update(part)
        socket.send_multipart([*idents, DELIMITER, signature.hexdigest().encode(), *parts])


def install(folder: Path, name: str) -> None:
    """Make it known under this name to programs that have the folder in their JUPYTER_PATH."""
    spec = folder / "kernels" / name / "kernel.json"
    spec.parent.mkdir(parents=True)
    argv = [sys.executable, "-I", __file__, "{connection_file}"]
    spec.write_text(json.dumps({"argv": argv, "display_name": name, "language": "python"}))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it interrupts a cell; between cells it is no end
    Kernel(json.loads(Path(sys.argv[1]).read_text())).serve()
