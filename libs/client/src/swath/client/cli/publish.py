"""``swath publish``: a pipeline with its weights as a version of a model."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from swath.client.cli.connection import connects
from swath.client.cli.loading import load_session, weights_of
from swath.client.cli.output import AsJson, message_json, print_json
from swath.client.cli.output import console as make_console


@connects
def publish(
    client: Any,
    name: Annotated[str, typer.Argument(help="Name of the model; it is made if there is none.")],
    pipeline: Annotated[
        str, typer.Argument(help="Pipeline below the server's configs, or a YAML file here.", show_default=False)
    ] = "",
    weights: Annotated[
        str,
        typer.Argument(
            help="Weights, here or on the server; those beside the pipeline if left out.", show_default=False
        ),
    ] = "",
    from_session: Annotated[
        str, typer.Option("--from-session", help="Publish what a session holds, in place of a pipeline.")
    ] = "",
    alias: Annotated[
        list[str] | None,
        typer.Option("--alias", help="Alias to point at the version, such as stable; may be repeated."),
    ] = None,
    description: Annotated[str, typer.Option(help="What is new about the version.")] = "",
    label: Annotated[
        list[str] | None, typer.Option("--label", help="Label of the model, KEY=VALUE; may be repeated.")
    ] = None,
    pin: Annotated[
        bool | None,
        typer.Option("--pin/--no-pin", help="Replicas load it before they are ready, and keep it.", show_default=False),
    ] = None,
    caller: Annotated[
        list[str] | None,
        typer.Option("--caller", help="Identity that may call it; everybody if none is named; may be repeated."),
    ] = None,
    editor: Annotated[
        list[str] | None, typer.Option("--editor", help="Identity that may change it; may be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Publish a pipeline with its weights as a version of a model.

    Production calls the model by its name. The same pipeline and weights are the same version.

    Labels, callers, editors and --pin are of the model: those that are given take the place of what it has.
    """
    from rich.markup import escape

    from swath.client.errors import LocalError

    if bool(pipeline) == bool(from_session):
        raise LocalError("say what to publish: a pipeline, or --from-session ID")
    wishes = {"aliases": alias or (), "description": description, "labels": labels_of(label), "pinned": pin}
    wishes |= {"callers": caller or None, "editors": editor or None}
    if from_session:
        session = client.attach(from_session)
        if weights:
            session.load_weights(weights_of(weights))
        publication = client.models.publish(name, session, **wishes)
    else:
        with load_session(client, pipeline, weights, [], "publishing") as session:
            publication = client.models.publish(name, session, **wishes)
    if as_json:
        (version,) = [each for each in publication.model.versions if each.number == publication.version]
        said = {"name": name, "existed": publication.existed, "untried": publication.untried}
        print_json([{**said, **message_json(version)}])
        return
    console = make_console()
    done = "was published already as" if publication.existed else "published"
    console.print(f"{done} [bold]{name}[/] version [bold]{publication.version}[/]", highlight=False)
    if publication.untried:
        console.print(f"  [yellow]it was not run before: {escape(publication.untried)}[/]", highlight=False)
    for each in publication.model.aliases:
        if any(share.version == publication.version for share in each.targets):
            console.print(f"  {each.name} [dim]→[/] {targets_text(each.targets)}", highlight=False)


def targets_text(shares: Any) -> str:
    """Where an alias points: ``3``, or ``2 (95 %), 3 (5 %)``."""
    if len(shares) == 1:
        return str(shares[0].version)
    return ", ".join(f"{share.version} ({share.percent:g} %)" for share in shares)


def labels_of(texts: list[str] | None) -> dict[str, str] | None:
    """Labels that are written KEY=VALUE; None for none.

    Raises:
        LocalError: One is written otherwise.
    """
    from swath.client.errors import LocalError

    for text in texts or ():
        if "=" not in text:
            raise LocalError(f"--label: expected KEY=VALUE, got '{text}'")
    pairs = (text.partition("=") for text in texts or ())
    return {key: value for key, _, value in pairs} or None
