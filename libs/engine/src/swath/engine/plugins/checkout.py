"""Tags of git repositories as local folders."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from swath.errors import DependencyMissing, Precondition, TimedOut

# No prompts, no configuration of this user, and no code of the repository that git would run.
_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_LFS_SKIP_SMUDGE": "1",
}


def checkout(repo: str, tag: str, cache: Path, timeout_s: float) -> Path:
    """Return a folder with the files of a tag, without history and submodules; fetched once and kept.

    Args:
        repo: URL or path that git knows how to fetch from. The caller has checked that the operator allows it.
        tag: Name of the tag.
        cache: Folder of all checkouts.
        timeout_s: Seconds that each step may take.

    Raises:
        DependencyMissing: There is no git on this server.
        Precondition: The repository or the tag cannot be fetched; the message ends with the last line of git.
        TimedOut: It took too long.
    """
    folder = cache / hashlib.sha256(f"{repo}\0{tag}".encode()).hexdigest()[:32]
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True, mode=0o700)
    made = Path(tempfile.mkdtemp(dir=cache, prefix="new-"))
    what = f"tag '{tag}' of {repo}"
    try:
        reference = f"refs/tags/{tag}"
        _git(["init", "--quiet", str(made)], what, timeout_s)
        at = ["-C", str(made), "-c", f"core.hooksPath={os.devnull}"]
        fetch = ["fetch", "--quiet", "--depth=1", "--no-recurse-submodules", "--no-tags", "--end-of-options"]
        _git([*at, *fetch, repo, f"{reference}:{reference}"], what, timeout_s)
        _git([*at, "checkout", "--quiet", "--detach", reference], what, timeout_s)
        try:
            made.rename(folder)
        except OSError:
            if not folder.is_dir():  # otherwise another process was first
                raise
        return folder
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _git(arguments: list[str], what: str, timeout_s: float) -> None:
    try:
        subprocess.run(
            ["git", *arguments],
            env={**os.environ, **_ENVIRONMENT},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=True,
        )
    except FileNotFoundError as error:
        raise DependencyMissing(f"{what} cannot be fetched: there is no git on this server") from error
    except subprocess.TimeoutExpired as error:
        raise TimedOut(f"{what} did not come within {timeout_s:g} s") from error
    except subprocess.CalledProcessError as error:
        output = error.stderr.decode(errors="replace").strip().splitlines()
        raise Precondition(f"{what} cannot be fetched: {output[-1] if output else 'git failed'}") from error
