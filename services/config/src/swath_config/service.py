"""Configurations: resolved from files and overrides, described, and checked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from swath.documents import model, parse, problems, review, schema
from swath.errors import ConfigInvalid, ConfigNotFound, InvalidInput, SwathError, TimedOut, TooLarge
from swath.runtime.logs import Telemetry
from swath.sessions.model import Sessions
from swath.sessions.read_batcher import ReadBatcher
from swath.storage.workspace.folder import ConfigFolder, Workspace
from swath_config.pool import Pool
from swath_config.request import Request
from swath_config.settings import ConfigSettings
from swath_config.tasks import resolve, warm


@dataclass(frozen=True)
class Validity:
    """What ValidateConfig answers.

    Attributes:
        valid: Whether the document is one of its kind.
        errors: What is wrong, `dotted.path: message` where it has a place.
        warnings: What is allowed but hardly meant.
    """

    valid: bool
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class ConfigService:
    """Resolves, describes and checks configurations. Keeps no state between calls.

    Args:
        sessions: Sessions as callers see them.
        workspace: Decides what paths mean.
        settings: What a composition may cost.
        telemetry: Form of the log lines of processes that compose.
    """

    def __init__(
        self,
        sessions: Sessions,
        workspace: Workspace,
        settings: ConfigSettings | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        settings = settings or ConfigSettings()
        self._sessions = sessions
        self._workspace = workspace
        self._spec = json.dumps(workspace.local_spec())
        # Calls that come at the same time have files fetched once.
        self._gathered = ReadBatcher(self._gather)
        self._document_limit = settings.result_limit_bytes
        self._pool = Pool(
            settings.workers,
            time_limit_s=settings.time_limit_s,
            result_limit=settings.result_limit_bytes,
            memory_limit=settings.memory_limit_bytes,
            queue_limit=settings.queue_limit,
            telemetry=telemetry,
        )

    async def resolve(self, session_id: str, config_type: str, path: str, overrides: Sequence[str] = ()) -> bytes:
        """Compose a configuration of a session's search paths; see `compose`.

        Raises:
            SessionNotFound: The caller has no such session.
        """
        session = await self._sessions.get(session_id)
        return await self.compose(session.search_paths, config_type, path, overrides)

    async def compose(
        self, search_paths: Sequence[str], config_type: str, path: str, overrides: Sequence[str] = ()
    ) -> bytes:
        """Compose a configuration and return the validated document as JSON, every default filled in.

        Args:
            search_paths: Where files are looked for; none mean the configs root.
            config_type: Kind of the document, a key of `swath.documents.KINDS`.
            path: The file: absolute, or relative to a search path; `.yaml` may be left out.
            overrides: Hydra's grammar, list items by number or name, and older spellings.

        Raises:
            ConfigNotFound: There is no such file in the search paths.
            ConfigInvalid: Unknown kind, or files and overrides do not compose (with the line where there is one).
            DocumentInvalid: The result is no document of its kind; pydantic's text.
            PathDenied: A file outside of the allowed roots is asked for, by whatever way.
            TimedOut, TooLarge, Exhausted: It costs more than it may.
        """
        folders = self._workspace.config_folders(search_paths, path)
        for refused in await asyncio.gather(*map(self._gathered.get, folders)):
            if refused is not None:
                raise refused
        request = Request(self._spec, tuple(search_paths), config_type, path, tuple(overrides))
        try:
            return await self._pool.call(resolve, request)
        except (TimedOut, TooLarge) as error:
            raise type(error)(f"Config resolution failed: {error.message}", metadata={"path": path[:200]}) from error

    async def _gather(self, folders: Collection[ConfigFolder]) -> dict[ConfigFolder, SwathError | None]:
        """Fetch the files of folders; return the error of each that could not be fetched."""

        def gather(folder: ConfigFolder) -> SwathError | None:
            try:
                with self._workspace.showing():
                    self._workspace.gather(folder)
            except SwathError as error:
                return error
            return None

        refused = await asyncio.gather(*(asyncio.to_thread(gather, folder) for folder in folders))
        return dict(zip(folders, refused, strict=True))

    def schema(self, config_type: str) -> str:
        """Return the JSON Schema of a kind of document.

        Raises:
            ConfigNotFound: There is no such kind.
        """
        try:
            return schema(config_type)
        except ConfigInvalid as error:
            raise ConfigNotFound(error.message) from error

    async def validate(self, config_type: str, data: bytes) -> Validity:
        """Check a document given as JSON. Bad content is an answer, not an error.

        Raises:
            ConfigInvalid: There is no such kind.
            InvalidInput: The bytes are no UTF-8.
            TooLarge: More bytes than a composed configuration may have.
        """
        model(config_type)
        if len(data) > self._document_limit:
            raise TooLarge(f"config_bytes has {len(data)} bytes, more than {self._document_limit}")
        return await asyncio.to_thread(_validate, config_type, data)

    async def warm_up(self) -> None:
        """Have a process ready to compose."""
        await self._pool.call(warm)

    async def close(self) -> None:
        """End the processes that compose."""
        await self._pool.close()


def _validate(config_type: str, data: bytes) -> Validity:
    if not data:
        return Validity(False, ("config_bytes cannot be empty",))
    try:
        content = json.loads(data.decode())
    except UnicodeDecodeError as error:
        raise InvalidInput(f"config_bytes is not UTF-8: {error}") from error
    except RecursionError:
        return Validity(False, ("Invalid JSON: nested too deeply",))
    except ValueError as error:  # no JSON, or a number of thousands of digits
        return Validity(False, (f"Invalid JSON: {getattr(error, 'msg', error)}",))
    if errors := problems(config_type, content):
        return Validity(False, tuple(errors))
    document = parse(config_type, content)
    if config_type != "training":
        return Validity(True)
    errors, warnings = review(document)
    return Validity(not errors, tuple(errors), tuple(warnings))
