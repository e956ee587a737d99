"""Serves one application by `serve.run`, and replaces it with each line of standard input.

python -m benchmarks.apps.driver PORT HTTP_PORT
"""

from __future__ import annotations

import itertools
import sys

from benchmarks.apps.handlers import bench, serve


def main(port: int, http_port: int) -> None:
    """Serve until standard input ends."""
    if serve.__name__ == "ray.serve":
        import ray  # pyright: ignore[reportMissingImports]

        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    serve.start(
        http_options={"port": http_port, "host": "127.0.0.1"},
        grpc_options={"port": port, "grpc_servicer_functions": ["bench_pb2_grpc.add_BenchServicer_to_server"]},
    )
    for _ in itertools.chain(("first",), sys.stdin):
        serve.run(bench, name="bench", route_prefix="/bench")
        print("deployed", flush=True)
    serve.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
