"""Greets: a call with one answer, a call for a model among several, and a stream. `g` is the application."""

import time
from collections.abc import Generator

from swath import serve


@serve.deployment
class GrpcDeployment:
    def __call__(self, user_message):
        from user_defined_protos_pb2 import UserDefinedResponse

        greeting = f"Hello {user_message.name} from {user_message.origin}"
        return UserDefinedResponse(greeting=greeting, num=user_message.num * 2)

    @serve.multiplexed(max_num_models_per_replica=1)
    async def get_model(self, model_id: str) -> str:
        return f"loading model: {model_id}"

    async def Multiplexing(self, user_message):
        from user_defined_protos_pb2 import UserDefinedResponse2

        model = await self.get_model(serve.get_multiplexed_model_id())
        return UserDefinedResponse2(greeting=f"Method2 called model, {model}")

    def Streaming(self, user_message) -> Generator:
        from user_defined_protos_pb2 import UserDefinedResponse

        for i in range(10):
            greeting = f"{i}: Hello {user_message.name} from {user_message.origin}"
            yield UserDefinedResponse(greeting=greeting, num=user_message.num * 2 + i)
            time.sleep(0.1)


g = GrpcDeployment.bind()
