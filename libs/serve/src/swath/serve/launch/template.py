"""The process that replicas are forked from: it imports what they need, and runs nothing of it.

`python -m swath.serve.launch.template DESCRIPTOR SETTINGS`: over the socket come single bytes, each with the socket of
a replica to fork; back go pairs of numbers: a process's id and -1 when it was forked, its id and how it ended later.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import threading
import traceback

from swath.serve import compat
from swath.serve.launch.port import NEWS
from swath.serve.transport.memory import keep_large_blocks

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Fork replicas until the host has gone."""
    control = socket.socket(fileno=int(sys.argv[1]))
    settings = json.loads(sys.argv[2])
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: the host says when to stop
    sys.path[:0] = [folder for folder in settings["path"] if folder not in sys.path]
    compat.install_here()
    if settings.get("alone"):
        _be_replica(control)
    for name in settings["preload"]:
        try:
            importlib.import_module(name)
        except BaseException:  # the replica that needs it says what is wrong
            print(f"swath.serve: importing {name} before replicas are forked failed", file=sys.stderr)
            traceback.print_exc()
    # Threads do not live on in a fork, and what they hold stays locked: such replicas start from nothing.
    fresh = threading.active_count() > 1
    importlib.import_module("swath.serve.replica.process")
    keep_large_blocks()
    gc.collect()
    gc.freeze()
    _serve(control, fresh)


def _serve(control: socket.socket, fresh: bool) -> None:
    woken, wake = socket.socketpair()
    wake.setblocking(False)
    woken.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    selector.register(woken, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is woken:
                woken.recv(4096)
                _reap(control)
                continue
            data, descriptors, _, _ = socket.recv_fds(control, 1, 1)
            if not data:
                os._exit(0)  # replicas end with this process
            child = os.fork()
            if child == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for each in (selector, control, woken, wake):
                    each.close()
                _become_replica(descriptors[0], fresh)
            os.close(descriptors[0])
            control.sendall(NEWS.pack(child, -1))


def _reap(control: socket.socket) -> None:
    while True:
        try:
            child, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if child == 0:
            return
        control.sendall(NEWS.pack(child, status))


def _become_replica(descriptor: int, fresh: bool) -> None:
    try:
        if fresh:
            os.set_inheritable(descriptor, True)
            settings = json.dumps({**json.loads(sys.argv[2]), "alone": True})
            os.execv(sys.executable, [sys.executable, "-m", "swath.serve.launch.template", str(descriptor), settings])
        _die_with_parent()
        _be_replica(socket.socket(fileno=descriptor))
    finally:
        os._exit(1)


def _be_replica(sock: socket.socket) -> None:
    from swath.serve.replica.process import main as replica

    replica(sock)


def _die_with_parent() -> None:
    """End with the process that has started this one, whatever this one does then."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
