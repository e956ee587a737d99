"""Which processes of this machine answer at an address, and how long processors have worked for them."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from swath.rpc.addresses import parse_address

_LISTENS = "0A"
_PROC = Path("/proc")


@dataclass(frozen=True)
class ServerProcesses:
    """Processes whose work is a server's.

    Attributes:
        pids: Their ids; none where nobody knows.
        why: Which ones they are, or why there are none: for people.
    """

    pids: tuple[int, ...]
    why: str

    def cpu(self) -> float | None:
        """Return the seconds that processors have worked for them, their ended children too; None if any is gone."""
        try:
            return sum(_seconds(pid) for pid in self.pids) if self.pids else None
        except (OSError, ValueError, IndexError):
            return None


def server_processes(target: str, given: Iterable[int] = ()) -> ServerProcesses:
    """Find the processes that answer at an address.

    Args:
        target: HOST:PORT.
        given: Processes that the user has named; they are taken as they are.
    """
    if pids := tuple(given):
        return ServerProcesses(pids, f"of {', '.join(map(_named, pids))}, as named")
    try:
        address = parse_address(target)
        here = {str(entry[4][0]) for entry in socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)}
    except (OSError, ValueError):
        return ServerProcesses((), f"left out: {target} is no address of this machine; name processes by --pid")
    if not all(each == "::1" or each.startswith("127.") for each in here):
        return ServerProcesses((), f"left out: {target} is not on this machine; name processes by --pid")
    found = tuple(_listening(address.port))
    if not found:
        return ServerProcesses((), f"left out: the process at {target} cannot be seen; name it by --pid")
    others = [pid for pid in found if "envoy" in _command(pid)]
    if others:
        return ServerProcesses(
            (), f"left out: a gateway answers at {target}, and works for all services; name processes by --pid"
        )
    return ServerProcesses(found, f"of {', '.join(map(_named, found))}")


def _listening(port: int) -> Iterator[int]:
    sockets = {f"socket:[{inode}]" for inode in _sockets(port)}
    for place in _PROC.glob("[0-9]*"):
        try:
            if sockets & {os.readlink(each) for each in (place / "fd").iterdir()}:
                yield int(place.name)
        except OSError:
            # Gone meanwhile, or somebody else's.
            continue


def _sockets(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        try:
            lines = (_PROC / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _seconds(pid: int) -> float:
    # The command's name, in parentheses, may hold anything.
    fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _command(pid: int) -> str:
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _named(pid: int) -> str:
    program = re.search(r"(?:-m )?([\w./-]+)", _command(pid).removeprefix("-"))
    return f"process {pid}" + (f" ({Path(program[1]).name})" if program else "")
