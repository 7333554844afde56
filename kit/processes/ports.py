"""TCP ports, on 127.0.0.1 unless another address is named."""

import contextlib
import errno
import socket

import psutil

from kit.errors import KitError


def free_socket(port: int = 0, host: str = "127.0.0.1") -> socket.socket:
    """A listening socket on an address, for processes to share. `port` 0 means any free one.

    Raises KitError, naming the program that holds the port, when it is taken.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        # A server that is handed this socket by its number may not turn Nagle's algorithm off,
        # which costs 40 ms for each answer. Connections inherit the option from the listener.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.listen(2048)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise KitError(
                f"port {port} is in use{holder(port)}", f"--port {port + 10}, or stop the other"
            ) from None
        if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
            raise KitError(f"{host} is no address of this machine", "ip address") from None
        raise KitError(f"port {port} cannot be used: {error.strerror}", "--port 8000") from None
    return sock


def holder(port: int) -> str:
    """` by NAME (pid N)` for the process that listens on `port`; empty where it is not known."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            here = connection.laddr and connection.laddr.port == port
            if here and connection.status == psutil.CONN_LISTEN and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return ""


def is_taken(port: int) -> bool:
    """Whether another program listens on `port`, so that it cannot be bound."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def free_port() -> int:
    """A port that is free now, for programs that cannot take over a socket.

    Another program may take it at any time.
    """
    with free_socket() as sock:
        port: int = sock.getsockname()[1]
        return port


def closed_socket() -> socket.socket:
    """A socket whose port refuses every connection, and that no other program can take."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.bind(("127.0.0.1", 0))  # bound, and it does not listen
    return sock
