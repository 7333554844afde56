"""`python -m kit.site.pages FD`: handbook and slides at one address, for bare `./workshop`.

In a process of its own, because it has threads, and `watch` forks: a fork leaves threads behind.
"""

import os
import socket
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from kit.commands.instructor import slides
from kit.commands.learner import docs
from kit.errors import KitError

SLIDES = "/slides/"
NOT_YET = b"""<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="2">
<title>In a moment</title><body style="font: 1.2rem system-ui; margin: 3rem">
<p>This is being built, and comes by itself in a moment."""

# What is served below which path; filled as it is built.
built: dict[str, Path] = {}
trouble: dict[str, str] = {}


class Pages(SimpleHTTPRequestHandler):
    """Handbook at /, slides at /slides/, and a word of patience for what is not built yet."""

    def translate_path(self, path: str) -> str:
        place = SLIDES if path.startswith(SLIDES) else "/"
        self.directory = str(built[place])
        return super().translate_path(path.removeprefix(place.rstrip("/")))

    def do_GET(self) -> None:
        place = SLIDES if self.path.startswith(SLIDES) else "/"
        if place in built:
            super().do_GET()
            return
        text = trouble.get(place)
        self.send_response(500 if text else 503)
        self.send_header("Content-Type", "text/plain" if text else "text/html")
        self.end_headers()
        self.wfile.write(text.encode() if text else NOT_YET)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the terminal is the learner's."""


def build() -> None:
    """Build both, the handbook first, out of the way of what the learner waits for."""
    os.nice(10)
    for place, make in (("/", docs.handbook), (SLIDES, slides.built)):
        try:
            built[place] = make()
        except KitError as error:
            trouble[place] = "\n\n".join([error.message, error.detail, f"Try: {error.fix}"])


def main(fd: int) -> None:
    """Serve on the listening socket `fd` until a signal ends the process."""
    sock = socket.socket(fileno=fd)
    server = ThreadingHTTPServer(sock.getsockname(), Pages, bind_and_activate=False)
    server.socket.close()
    server.socket = sock
    threading.Thread(target=build, daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
