"""Calls the application of grpc_context.py twice, and checks how each call ends.

python grpc_context_client.py [HOST:PORT]
"""

import sys

import grpc
from user_defined_protos_pb2 import UserDefinedMessage
from user_defined_protos_pb2_grpc import UserDefinedServiceStub


def first_error(stub, request, metadata):
    try:
        stub.__call__(request=request, metadata=metadata)
    except grpc.RpcError as error:
        return error
    raise SystemExit("the first call was to fail")


def main(target: str) -> None:
    request = UserDefinedMessage(name="foo", num=30, origin="bar")
    metadata = (("application", "app1"),)
    with grpc.insecure_channel(target) as channel:
        stub = UserDefinedServiceStub(channel)
        # The name is not there yet.
        failed = first_error(stub, request, metadata)
        assert failed.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert failed.details() == "foo not found, adding to nums."
        trailers = dict(failed.trailing_metadata())
        assert trailers["num"] == "0"
        assert trailers["request_id"]
        # Now it is.
        _, call = stub.__call__.with_call(request=request, metadata=metadata)
        assert call.code() == grpc.StatusCode.OK
        # The server says "foo found." with its OK; newer grpcio clients do not show what comes with an OK.
        assert call.details() in ("foo found.", "")
        trailers = dict(call.trailing_metadata())
        assert trailers["num"] == "0"
        assert trailers["request_id"]
    print("both calls ended as they were to")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "localhost:9000")
