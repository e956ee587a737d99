"""``swath studio``: Weights Studio on the runs of a server."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from swath.client.cli.connection import connects


@connects
def studio(
    client: Any,
    run: Annotated[
        str,
        typer.Argument(help="Run, or experiment, to show; that of the newest run if not given.", show_default=False),
    ] = "",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of this machine for the page; 0: a free one.")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open it in a browser.")] = True,
) -> None:
    """Open Weights Studio, WeightsLab's page, on a run: curves, samples, tags, hyper-parameters, checkpoints.

    The page is served on this machine, to whoever has the printed address; its calls go to the server as yours.
    """
    import webbrowser

    from swath.client.channel import open_channel
    from swath.client.studio import StudioServer, find_page

    page = find_page()
    with (
        open_channel(client.config) as channel,
        StudioServer(page, channel, metadata=client.config.call_metadata, experiment=run, port=port) as server,
    ):
        typer.echo(f"Weights Studio: {server.url}\nCtrl-C ends it.")
        if browser:
            webbrowser.open(server.url)
        try:
            server.wait()
        except KeyboardInterrupt:
            typer.echo("")
