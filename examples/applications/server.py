"""Serves the applications of this folder until it is interrupted, or its standard input ends.

python server.py [PORT] [NAME=MODULE:ATTRIBUTE ...]
"""

import contextlib
import importlib
import sys

from swath import serve
from swath.serve.config import gRPCOptions

SERVICER_FUNCTIONS = (
    "user_defined_protos_pb2_grpc.add_UserDefinedServiceServicer_to_server",
    "user_defined_protos_pb2_grpc.add_ImageClassificationServiceServicer_to_server",
)


def main(port: int, applications: dict[str, str]) -> None:
    serve.start(grpc_options=gRPCOptions(port=port, grpc_servicer_functions=SERVICER_FUNCTIONS))
    for name, path in applications.items():
        module, _, attribute = path.partition(":")
        serve.run(getattr(importlib.import_module(module), attribute), name=name, route_prefix=f"/{name}")
        print(f"{name} runs at {serve.address()}", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        sys.stdin.read()
    serve.shutdown()


if __name__ == "__main__":
    numbers = [each for each in sys.argv[1:] if each.isdecimal()]
    named = dict(each.split("=", 1) for each in sys.argv[1:] if "=" in each)
    main(int(numbers[0]) if numbers else 9000, named or {"app1": "greeting:g", "app2": "image_classifier:g2"})
