"""Calls the greeting application in every way that it has: `python greeting_client.py [HOST:PORT]`."""

import sys

import grpc
from user_defined_protos_pb2 import UserDefinedMessage, UserDefinedMessage2
from user_defined_protos_pb2_grpc import UserDefinedServiceStub

from swath.serve.generated.serve_pb2 import HealthzRequest, ListApplicationsRequest
from swath.serve.generated.serve_pb2_grpc import RayServeAPIServiceStub


def main(target: str) -> None:
    with grpc.insecure_channel(target) as channel:
        server, stub = RayServeAPIServiceStub(channel), UserDefinedServiceStub(channel)
        print(f"Applications: {list(server.ListApplications(ListApplicationsRequest()).application_names)}")
        print(f"Health: {server.Healthz(HealthzRequest()).message}")

        request = UserDefinedMessage(name="foo", num=30, origin="bar")
        metadata = (("application", "app1"),)
        response, call = stub.__call__.with_call(request=request, metadata=metadata)
        print(f"status code: {call.code()}")
        print(f"greeting: {response.greeting}")
        print(f"num: {response.num}")

        ids = (("request_id", "123"), ("multiplexed_model_id", "999"))
        response, call = stub.Multiplexing.with_call(request=UserDefinedMessage2(), metadata=(*metadata, *ids))
        print(f"greeting: {response.greeting}")
        for key, value in call.trailing_metadata():
            print(f"trailing metadata key: {key}, value {value}")

        for response in stub.Streaming(request=request, metadata=metadata):
            print(f"greeting: {response.greeting}, num: {response.num}")

        try:
            stub.__call__(request=request, metadata=(("application", "nobody"),))
        except grpc.RpcError as error:
            print(f"status code: {error.code()}")
            print(f"details: {error.details()}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "localhost:9000")
