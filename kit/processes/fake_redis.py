"""fakeredis behind a TCP port, the last of the Redis tiers.

python -m kit.processes.fake_redis PORT
"""

import sys

from fakeredis import TcpFakeServer


def main(port: int) -> None:
    """Serve on 127.0.0.1 until a signal ends the process."""
    with TcpFakeServer(("127.0.0.1", port)) as server:
        server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
