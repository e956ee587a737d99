"""`python -m swath_session migrate` waits for a database that comes later."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from swath_suite.postgres import PostgresProcess
from swath_suite.process import free_ports


def migrate(url: str, state: Path, wait_s: float) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "swath_session", "migrate", "--wait", str(wait_s)]
    environment = {**os.environ, "SWATH_DATABASE_URL": url, "SWATH_STATE": str(state)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_it_gives_up_after_its_time(tmp_path: Path) -> None:
    done = migrate(f"postgresql://swath:word@127.0.0.1:{free_ports(1)[0]}/swath", tmp_path, 0.5)
    assert done.returncode == 1
    assert "cannot reach its database" in done.stderr


def test_it_waits_until_the_database_is_there(postgres: PostgresProcess, postgres_url: str, tmp_path: Path) -> None:
    postgres.stop()
    later = threading.Timer(6.0, postgres.start)
    later.start()
    try:
        done = migrate(postgres_url, tmp_path, 60)
    finally:
        later.join()
    assert done.returncode == 0, done.stderr
    assert "trying again" in done.stderr
    assert "tables are of revision" in done.stdout
