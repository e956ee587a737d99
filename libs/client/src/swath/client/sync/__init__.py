"""The blocking client.

with Client("localhost:50051") as client, client.session() as session:
    session.set_run_config(session.resolve("trainrun", "rx_statistical"))
    for progress in session.train("statistical"):
        print(format_progress(progress))
    scores = session.infer(cube=cube, wavelengths=wavelengths).only("scores")
"""

from swath.client.sync.client import Client
from swath.client.sync.session import Session

__all__ = ["Client", "Session"]
