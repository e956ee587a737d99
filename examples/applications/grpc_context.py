"""Sets status, details and trailing metadata of its answers: a name is not found at first. `g` is the application."""

import grpc
from user_defined_protos_pb2 import UserDefinedMessage, UserDefinedResponse

from swath import serve
from swath.serve.grpc_util import RayServegRPCContext


@serve.deployment
class GrpcDeployment:
    def __init__(self):
        self.nums = {}

    def num_lookup(self, name: str) -> tuple[int, grpc.StatusCode, str]:
        if name in self.nums:
            return self.nums[name], grpc.StatusCode.OK, f"{name} found."
        self.nums[name] = len(self.nums)
        return self.nums[name], grpc.StatusCode.INVALID_ARGUMENT, f"{name} not found, adding to nums."

    def __call__(
        self,
        user_message: UserDefinedMessage,
        grpc_context: RayServegRPCContext,  # a parameter of this name gets the context
    ) -> UserDefinedResponse:
        num, code, message = self.num_lookup(user_message.name)
        grpc_context.set_code(code)
        grpc_context.set_details(message)
        grpc_context.set_trailing_metadata([("num", str(num))])
        greeting = f"Hello {user_message.name} from {user_message.origin}"
        return UserDefinedResponse(greeting=greeting, num=num)


g = GrpcDeployment.bind()
