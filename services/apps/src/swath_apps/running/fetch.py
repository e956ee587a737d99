"""`python -m swath_apps.running.fetch FOLDER` unpacks the bundle whose digest SWATH_BUNDLE is, for a replica's pod.

It runs before that one, and has what the object store asks for, which users' code has not.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from swath.errors import SwathError
from swath.runtime.replica import StoreSettings
from swath.storage.opening import open_artifacts
from swath_apps.running.bundles import Bundles


def main(folder: Path) -> int:
    """Unpack it below a folder; return the exit status."""
    digest = os.environ["SWATH_BUNDLE"]
    settings = StoreSettings()
    bundles = Bundles(open_artifacts(settings, settings.state), folder, sys.maxsize)
    try:
        print(f"{digest} is in {asyncio.run(bundles.folder(digest))}", flush=True)
    except SwathError as error:
        print(f"{digest} cannot be fetched: {error.message}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
