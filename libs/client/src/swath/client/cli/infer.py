"""``swath infer``: a scene from a file through a pipeline into a file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swath.client.cli.connection import connects
from swath.client.cli.files import remote_path
from swath.client.cli.overrides import quoted
from swath.client.cli.restore import open_trainrun

if TYPE_CHECKING:
    from swath.client.calls import Outputs
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
    scene: Annotated[Path, typer.Argument(help="Scene on this machine: ENVI, npz, MAT, TIFF, HDF5, zarr, cu3s.")],
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
) -> None:
    """Run a pipeline on a scene."""
    from itertools import chain

    from rich.table import Table

    from swath.client.cli.output import console as make_console
    from swath.client.cli.output import wrote
    from swath.client.data.results import write_results
    from swath.client.data.scenes import read_scenes
    from swath.client.data.validity import extent

    console = make_console()
    frames = read_scenes(
        scene,
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
    first = next(frames)
    session = _open(client, pipeline, trainrun, session_id, weights, quoted(override or ()))
    try:
        table = Table("frame", "output", "dtype", "shape", "min", "max", "invalid", box=None, pad_edge=False)
        for index, frame in enumerate(chain([first], frames)):
            notes = list(frame.notes)
            with console.status(f"inference on {frame.name} {list(frame.cube.shape)}"):
                found = session.infer(outputs=port or (), **frame.inputs())
            for name, array in found.items():
                span = extent(array)
                low, high = ("" if end is None else f"{end:.4g}" for end in (span.low, span.high))
                invalid = f"{span.invalid} of {span.pixels}" if span.invalid else ""
                table.add_row(frame.name, name, str(array.dtype), str(list(array.shape)), low, high, invalid)
            for name, value in found.metrics.items():
                table.add_row(frame.name, name, "", "", f"{value:.4g}", f"{value:.4g}", "")
            _require_results(found, frame.name)
            if output is not None:
                numbered = output.with_name(f"{output.stem}_{index:04d}{output.suffix}")
                for file in write_results(numbered if index else output, found, scene=frame, notes=notes):
                    wrote(console, file)
            for note in notes:
                typer.echo(f"{frame.name}: {note}", err=True)
        console.print(table)
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


def _require_results(found: Outputs, frame: str) -> None:
    from swath.client.errors import LocalError

    if not found and not found.metrics:
        raise LocalError(f"the pipeline gave nothing for {frame}: it has no output that is a tensor or a number")


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
            session.load_weights(_weights(weights))
        return session
    return _load(client, pipeline, weights, overrides)


def _load(client: Client, pipeline: str, weights: str, overrides: list[str]) -> Session:
    from swath.client.errors import NotFoundError

    session = client.open_session()
    try:
        local = Path(pipeline)
        is_local = local.suffix in (".yaml", ".yml") and local.is_file()
        config = (
            _resolve_local(client, session, local, overrides)
            if is_local
            else session.resolve("pipeline", remote_path(pipeline), overrides)
        )
        session.load_pipeline(config)
        if weights:
            session.load_weights(_weights(weights))
        elif is_local and local.with_suffix(".pt").is_file():
            session.load_weights(local.with_suffix(".pt").read_bytes())
        elif not is_local:
            beside = remote_path(pipeline).removesuffix(".yaml").removesuffix(".yml") + ".pt"
            try:
                session.load_weights(beside)
            except NotFoundError:
                typer.echo(f"no weights at {beside}: running the pipeline as it is", err=True)
    except BaseException:
        session.close()
        raise
    return session


def _resolve_local(client: Client, session: Session, file: Path, overrides: list[str]) -> dict[str, Any]:
    """Have the server compose a pipeline file of this machine: it gets the file for as long as that takes."""
    from uuid import uuid4

    folder = f"configs/pipeline/from-client-{uuid4().hex[:12]}"
    client.workspace.put(file, f"{folder}/{file.name}")
    try:
        return session.resolve("pipeline", f"{folder.removeprefix('configs/')}/{file.stem}", overrides)
    finally:
        client.workspace.delete(folder, recursive=True)


def _weights(weights: str) -> str | bytes:
    local = Path(weights)
    return local.read_bytes() if local.is_file() else remote_path(weights)
