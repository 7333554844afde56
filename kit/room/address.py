"""The address on which the room listens: one that attendees reach."""

import ipaddress
import socket

import psutil

from kit.errors import KitError

# Networks between containers or virtual machines on this machine: no attendee is in them.
INSIDE = ("docker", "br-", "veth", "virbr", "vmnet", "podman", "cni", "lo")


def chosen(host: str | None) -> str:
    """The address that was named, or the only one that others reach. Raises KitError."""
    if host:
        return host
    found = _reachable()
    if len(found) == 1:
        return next(iter(found))
    if not found:
        raise KitError(
            "this machine is in no network, so no attendee could reach the room",
            "join the network of the room, or to try it alone: ./workshop room --host 127.0.0.1",
        )
    raise KitError(
        "this machine is in several networks: name the address that attendees reach",
        f"./workshop room --host {next(iter(found))}",
        "\n".join(f"{address}  {name}" for address, name in found.items()),
    )


def _reachable() -> dict[str, str]:
    """Private addresses of this machine, each with the name of its network device."""
    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    return {
        address.address: name
        for name, addresses in psutil.net_if_addrs().items()
        if name in up and not name.startswith(INSIDE)
        for address in addresses
        if address.family == socket.AF_INET and _is_private(address.address)
    }


def _is_private(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return parsed.is_private and not parsed.is_loopback
