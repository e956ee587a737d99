import time, asyncio
from contextlib import aclosing
from .conftest import *
async def test_latency(world):
    s = await world.configured(epochs=30)
    for tr in (1,1,1,2):
        t=time.monotonic(); f=await world.service.train(TrainRequest(s.id, tr)); t1=time.monotonic()-t
        first=None; n=0
        async with aclosing(f.events()) as ev:
            async for e in ev:
                n+=1
                if first is None: first=time.monotonic()-t
        end=time.monotonic()-t
        w=await world.worker(f.run_id)
        await w.gone()
        print(f"accepted {t1*1000:.0f} first {first*1000:.0f} ms end {1000*end:.0f} ms gone {1000*(time.monotonic()-t):.0f} n={n}")
        print((world.folder/'training'/'logs'/f.run_id/'1.log').read_text()[-5000:])
