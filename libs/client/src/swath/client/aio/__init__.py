"""The asyncio client: `swath.client.sync` with ``await``. What a method does is documented there.

async with AsyncClient("localhost:50051") as client, client.session() as session:
    await session.set_run_config(await session.resolve("trainrun", "rx_statistical"))
    async for progress in session.train("statistical"):
        print(format_progress(progress))
    scores = (await session.infer(cube=cube, wavelengths=wavelengths)).only("scores")
"""

from swath.client.aio.client import AsyncClient
from swath.client.aio.session import AsyncSession

__all__ = ["AsyncClient", "AsyncSession"]
