"""``swath ls``, ``swath cp`` and ``swath rm``: the server's workspace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swath.client.cli.connection import connects
from swath.client.cli.output import AsJson, console, print_json

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from swath.client.workspace.transfer import Progress

_PREFIXES = ("swath:", ":")


@connects
def ls(
    client: Any,
    path: Annotated[str, typer.Argument(help="Folder of the workspace; its root if left out.")] = "",
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Descend into folders.")] = False,
    sha256: Annotated[bool, typer.Option("--sha256", help="Show checksums.")] = False,
    as_json: AsJson = False,
) -> None:
    """List files on the server."""
    from datetime import datetime

    from rich.filesize import decimal
    from rich.markup import escape
    from rich.table import Table

    entries = client.workspace.list(remote_path(path), recursive=recursive, sha256=sha256)
    if as_json:
        print_json(map(_facts, entries))
        return

    table = Table(box=None, pad_edge=False, show_edge=False)
    table.add_column("size", justify="right", style="dim", no_wrap=True)
    table.add_column("modified", style="dim", no_wrap=True)
    table.add_column("path", no_wrap=True)
    if sha256:
        table.add_column("sha256", style="dim", no_wrap=True)
    for entry in entries:
        when = datetime.fromtimestamp(entry.modified).strftime("%Y-%m-%d %H:%M") if entry.modified else ""
        name = f"[bold blue]{escape(entry.path)}/[/]" if entry.folder else escape(entry.path)
        size = "" if entry.folder else decimal(entry.size)
        mark = " [dim](shipped)[/]" if entry.shipped and not entry.folder else ""
        table.add_row(size, when, name + mark, *([entry.sha256] if sha256 else []))
    # A table is cut to the width of its console: paths and checksums stay whole, on a narrow screen too.
    screen = console()
    measured = screen.measure(table, options=screen.options.update(max_width=100_000)).maximum
    screen.width = max(screen.width, measured)
    screen.print(table, soft_wrap=True)


def _facts(entry: Any) -> dict[str, Any]:
    """An entry of the workspace as JSON-able data; times are seconds since 1970."""
    facts = {"path": entry.path, "folder": entry.folder, "size": entry.size, "modified": entry.modified}
    return {**facts, "shipped": entry.shipped, **({"sha256": entry.sha256} if entry.sha256 else {})}


@connects
def cp(
    client: Any,
    source: Annotated[str, typer.Argument(help="File or folder; swath:PATH or :PATH is the server's.")],
    destination: Annotated[str, typer.Argument(help="Where it goes; one of the two must be on the server.")],
) -> None:
    """Copy files to the server or from it."""
    from swath.client.errors import LocalError

    up, down = _remote(destination), _remote(source)
    if (up is None) == (down is None):
        raise LocalError("one of SRC and DST must be on the server, written swath:PATH or :PATH, and the other here")
    if up is not None:
        upload(client, source, up)
    elif down is not None:
        download(client, down, Path(destination))


@connects
def rm(
    client: Any,
    path: Annotated[str, typer.Argument(help="File or folder of the workspace.")],
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Remove a folder and what it holds.")] = False,
) -> None:
    """Remove files on the server."""
    removed = client.workspace.delete(remote_path(path), recursive=recursive)
    typer.echo(f"removed swath:{remote_path(path)}: {removed} {'entry' if removed == 1 else 'entries'}")


def remote_path(path: str) -> str:
    """A path of the workspace with or without the ``swath:`` before it."""
    return _remote(path) or ("" if path in _PREFIXES else path)


def upload(client: Any, source: str | Path, path: str) -> list[str]:
    """Upload a file, or a folder with all that it holds; returns the paths on the server.

    Args:
        client: A `swath.client.Client`.
        source: On this machine.
        path: On the server; empty or with a slash at its end means a folder to put it in.
    """
    from swath.client.errors import LocalError
    from swath.client.workspace.transfer import files_below

    here = Path(source)
    if not here.exists():
        raise LocalError(f"no such file or folder: {source}")
    path = f"{path}{here.name}" if path.endswith("/") or not path else path
    files = [(file, f"{path}/{relative}") for file, relative in files_below(here)] if here.is_dir() else [(here, path)]
    if not files:
        raise LocalError(f"nothing to upload: the folder {source} holds no files")
    with _Transfers() as transfers:
        for file, to in files:
            entry = client.workspace.put(file, to, transfers.watch(to))
            transfers.done(f"{file} -> swath:{entry.path}", entry.size)
    return [to for _, to in files]


def download(client: Any, path: str, to: Path) -> list[Path]:
    """Fetch a file, or a folder with all that it holds, of the workspace."""
    from swath.client.errors import LocalError

    found = client.workspace.stat(path)
    into = to / found.name if to.is_dir() else to
    pairs = [(found.path, into)]
    if found.folder:
        below = [entry for entry in client.workspace.list(path, recursive=True) if not entry.folder]
        pairs = [(entry.path, into / entry.path.removeprefix(found.path).lstrip("/")) for entry in below]
    if not pairs:
        raise LocalError(f"nothing to download: the folder swath:{path} holds no files")
    with _Transfers() as transfers:
        for remote, local in pairs:
            entry = client.workspace.get(remote, local, transfers.watch(remote))
            transfers.done(f"swath:{remote} -> {local}", entry.size)
    return [local for _, local in pairs]


class _Transfers:
    """A bar for the file in progress, one line of text per file that is done."""

    def __init__(self) -> None:
        from swath.client.cli.progress import bars

        self._console = console()
        self._bars: Bars = bars(self._console)
        self._task: TaskID | None = None

    def __enter__(self) -> _Transfers:
        self._bars.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._bars.stop()

    def watch(self, name: str) -> Progress:
        task = self._task = self._bars.add_task(name, total=None, note="")

        def show(done: int, total: int) -> None:
            self._bars.update(task, completed=done, total=max(total, 1))

        return show

    def done(self, line: str, size: int) -> None:
        from rich.filesize import decimal
        from rich.markup import escape

        if self._task is not None:
            self._bars.remove_task(self._task)
        self._console.print(f"{escape(line)}  [dim]{decimal(size)}[/]", soft_wrap=True, highlight=False)


def _remote(path: str) -> str | None:
    return next((path.removeprefix(prefix).lstrip("/") for prefix in _PREFIXES if path.startswith(prefix)), None)
