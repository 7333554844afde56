"""`make test-redis`: the tests have the server that was asked for, or none."""

from pathlib import Path

import pytest

from tools import with_redis


def test_a_server_that_the_kit_would_pass_over_is_refused(tmp_path: Path) -> None:
    server = tmp_path / "server"
    server.write_text("#!/bin/sh\necho 'Redis server v=5.0.7 sha=0:0 bits=64'\n")
    server.chmod(0o755)
    with pytest.raises(SystemExit, match=r"does not take it: .* is older than Redis 6\.2"):
        with_redis.main(server, [])
