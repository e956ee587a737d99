"""Asks what is in the picture at a URL: `python image_client.py URL [HOST:PORT]`."""

import sys

import grpc
from user_defined_protos_pb2 import ImageData
from user_defined_protos_pb2_grpc import ImageClassificationServiceStub


def main(url: str, target: str) -> None:
    with grpc.insecure_channel(target) as channel:
        stub = ImageClassificationServiceStub(channel)
        metadata = (("application", "app2"),)
        response, call = stub.Predict.with_call(request=ImageData(url=url), metadata=metadata)
    print(f"status code: {call.code()}")
    print(f"Classes: {list(response.classes)}")
    print(f"Probabilities: {[round(each, 3) for each in response.probabilities]}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "localhost:9000")
