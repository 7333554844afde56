"""TCP ports."""

import socket

import pytest

from kit.processes.ports import closed_socket, is_taken


def test_a_closed_port_refuses_and_cannot_be_taken() -> None:
    with closed_socket() as closed:
        port = closed.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        assert is_taken(port)
