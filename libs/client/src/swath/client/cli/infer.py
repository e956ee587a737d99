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
    from swath.client.sync import Client


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
    model: Annotated[str, typer.Option("--model", "-m", help="A published model.")] = "",
    model_version: Annotated[
        str,
        typer.Option(
            "--model-version", help='Its version, or an alias; "stable", or the newest one without it, if none.'
        ),
    ] = "",
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
    follow: Annotated[
        bool,
        typer.Option(
            "--follow",
            help="The scene is an ENVI image that is still being written: send its lines as they come. Ctrl-C ends it.",
        ),
    ] = False,
    lines: Annotated[int | None, typer.Option(min=1, help="With --follow: end after so many lines.")] = None,
    idle: Annotated[
        float, typer.Option(min=0.0, help="With --follow: end after so many seconds without a line.")
    ] = 10.0,
) -> None:
    """Run a pipeline on a scene, or on the scenes of a folder.

    A scene that is larger than a message goes in pieces; one that an instrument is still writing, as it comes.
    """
    from functools import partial
    from itertools import chain

    from swath.client.cli.frames import Report, as_they_come, each_alone, over_a_stream, scenes_in
    from swath.client.cli.output import console as make_console
    from swath.client.data.scenes import growing_scene, scenes_of
    from swath.scenes import Options

    console = make_console()
    options = Options(
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
    wanted, limit = port or (), client.config.max_message_bytes
    if follow:
        run = partial(
            as_they_come,
            growing=growing_scene(scene, options),
            outputs=wanted,
            lines=lines,
            idle_s=idle,
            console=console,
        )
    else:
        frames = chain.from_iterable(scenes_of(file, options) for file in (scenes_in(scene) if stream else [scene]))
        send = over_a_stream if stream else each_alone
        # The first is read before there is a session: what is wrong with a file is said at once.
        run = partial(send, frames=chain([next(frames)], frames), outputs=wanted, limit=limit, console=console)
    found_by = {"--pipeline": pipeline, "--trainrun": trainrun, "--session": session_id, "--model": model}
    runs = _open(client, found_by, weights, quoted(override or ()), model_version)
    try:
        report = Report(console, output, by_name=stream and not follow)
        for frame, found in run(runs):
            report.add(frame, found)
        report.finish()
    finally:
        if pipeline or trainrun:
            runs.close()


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


def _open(client: Client, found_by: dict[str, str], weights: str, overrides: list[str], version: str) -> Any:
    """Return what runs: a session, or a published model."""
    from swath.client.errors import LocalError

    pipeline, trainrun, session_id, model = found_by.values()
    if sum(map(bool, found_by.values())) != 1:
        *most, last = found_by
        raise LocalError(f"say what to run with one of {', '.join(most)} and {last}")
    if overrides and not pipeline:
        raise LocalError("--override changes a pipeline that is loaded with --pipeline")
    if version and not model:
        raise LocalError("--model-version is of a --model")
    if model:
        if weights:
            raise LocalError("--weights are of a pipeline; a published model has its own")
        return client.model(model, version)
    if trainrun:
        return open_trainrun(client, remote_path(trainrun), weights)
    if session_id:
        session = client.attach(session_id)
        if weights:
            session.load_weights(weights_of(weights))
        return session
    return load_session(client, pipeline, weights, overrides, "running")
