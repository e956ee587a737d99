"""``swath infer``: a scene from a file through a pipeline into a file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swath.client.cli.connection import connects
from swath.client.cli.files import remote_path
from swath.client.cli.loading import load_session, weights_of
from swath.client.cli.overrides import quoted
from swath.client.cli.restore import open_trainrun

if TYPE_CHECKING:
    from swath.client.sync import Client, Session


class Mode(StrEnum):
    """How a cu3s measurement is processed before inference."""

    RAW = "Raw"
    REFLECTANCE = "Reflectance"
    DARK_SUBTRACT = "DarkSubtract"
    SPECTRAL_RADIANCE = "SpectralRadiance"


def _writable(output: Path | None) -> Path | None:
    """Refuse a file that cannot be written before anything is computed for it."""
    from swath.client.data.results import check_writable

    if output is not None:
        check_writable(output)
    return output


@connects
def infer(
    client: Any,
    scene: Annotated[
        Path,
        typer.Argument(
            help="Scene on this machine: ENVI, npz, MAT, TIFF, HDF5, zarr, cu3s; with --stream also a folder of scenes."
        ),
    ],
    pipeline: Annotated[
        str, typer.Option("--pipeline", "-p", help="Pipeline below the server's configs, or a YAML file here.")
    ] = "",
    trainrun: Annotated[str, typer.Option("--trainrun", help="Saved trainrun on the server.")] = "",
    session_id: Annotated[str, typer.Option("--session", help="A session that is open already.")] = "",
    weights: Annotated[
        str,
        typer.Option("--weights", "-w", help="Weights, here or on the server; those beside the pipeline if none."),
    ] = "",
    override: Annotated[
        list[str] | None,
        typer.Option("--override", help="Override, such as nodes.rx.hparams.eps=1e-5."),
    ] = None,
    port: Annotated[
        list[str] | None, typer.Option("--port", help="Output to compute: node.port or port; all if left out.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", callback=_writable, help="Where results go: .npz, .hdr (ENVI), .tif or .png."),
    ] = None,
    processing_mode: Annotated[Mode, typer.Option(help="Processing of cu3s measurements.")] = Mode.REFLECTANCE,
    cube_key: Annotated[
        str | None, typer.Option(help="Name of the cube in npz and MAT files, its path in HDF5 and zarr.")
    ] = None,
    mask_key: Annotated[str | None, typer.Option(help="Name of the mask in such files; an empty one for none.")] = None,
    wavelengths_key: Annotated[str | None, typer.Option(help="Name of the wavelengths in such files.")] = None,
    cube_axes: Annotated[
        str, typer.Option(help="Axes of the cube in such files as they are stored: H rows, W columns, C bands.")
    ] = "HWC",
    wavelengths: Annotated[
        str | None,
        typer.Option(help="Wavelengths in place of the file's: START:STOP:N, numbers with commas, or a file of them."),
    ] = None,
    wavelength_units: Annotated[
        str | None, typer.Option(help="Unit of the wavelengths, such as nm, um, Angstrom, cm-1 or GHz.")
    ] = None,
    scale: Annotated[
        float | None, typer.Option(help="What stored numbers are multiplied by, in place of the file's own scale.")
    ] = None,
    drop_bad_bands: Annotated[
        bool, typer.Option("--drop-bad-bands", help="Leave out the bands that the file marks bad.")
    ] = False,
    stream: Annotated[
        bool,
        typer.Option(
            "--stream",
            help="Send all frames over one stream: nodes with a memory keep it, and one that fails does not end it.",
        ),
    ] = False,
) -> None:
    """Run a pipeline on a scene, or on the scenes of a folder.

    A scene that is larger than a message goes in pieces.
    """
    from functools import partial
    from itertools import chain

    from swath.client.cli.frames import Report, each_alone, over_a_stream, scenes_in
    from swath.client.cli.output import console as make_console
    from swath.client.data.scenes import read_scenes

    console = make_console()
    read = partial(
        read_scenes,
        processing_mode=processing_mode.value,
        cube_key=cube_key,
        mask_key=mask_key,
        wavelengths_key=wavelengths_key,
        cube_axes=cube_axes,
        wavelengths=None if wavelengths is None else _wavelengths(wavelengths),
        wavelength_units=wavelength_units,
        scale=scale,
        drop_bad_bands=drop_bad_bands,
    )
    files = scenes_in(scene) if stream else [scene]
    frames = chain.from_iterable(map(read, files))
    first = next(frames)
    session = _open(client, pipeline, trainrun, session_id, weights, quoted(override or ()))
    try:
        report = Report(console, output, by_name=stream)
        run = over_a_stream if stream else each_alone
        for frame, found in run(session, chain([first], frames), port or (), client.config.max_message_bytes, console):
            report.add(frame, found)
        report.finish()
    finally:
        if not session_id:
            session.close()


def _wavelengths(text: str) -> list[float]:
    """Return wavelengths that are written out, or those of a file."""
    from swath.client.data.scenes import scene_errors
    from swath.client.errors import SceneError
    from swath.scenes import parse_wavelengths

    file = Path(text)
    try:
        numbers = file.read_text(encoding="utf-8-sig") if file.is_file() else text
    except (OSError, UnicodeDecodeError) as error:
        raise SceneError(f"cannot read {file}: {error}") from None
    with scene_errors():
        return parse_wavelengths(numbers)


def _open(client: Client, pipeline: str, trainrun: str, session_id: str, weights: str, overrides: list[str]) -> Session:
    from swath.client.errors import LocalError

    if sum(map(bool, (pipeline, trainrun, session_id))) != 1:
        raise LocalError("say what to run with one of --pipeline, --trainrun and --session")
    if overrides and not pipeline:
        raise LocalError("--override changes a pipeline that is loaded with --pipeline")
    if trainrun:
        return open_trainrun(client, remote_path(trainrun), weights)
    if session_id:
        session = client.attach(session_id)
        if weights:
            session.load_weights(weights_of(weights))
        return session
    return load_session(client, pipeline, weights, overrides, "running")
