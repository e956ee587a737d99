"""Call a published model with KServe's client, as it is.

    python examples/serving/kserve_client.py --server localhost:50051 --model san-diego crop.npz

It needs `kserve` and numpy alone, nothing of Swath. The npz file holds `cube` [1, H, W, C] in float32 and
`wavelengths` [1, C] in int32.
"""

from __future__ import annotations

import argparse
import asyncio
import os

import numpy as np
from kserve import InferenceGRPCClient, InferInput, InferRequest, InferResponse

DATATYPES = {"float32": "FP32", "int32": "INT32"}


async def infer(args: argparse.Namespace, inputs: list[InferInput]) -> InferResponse:
    """Make one call."""
    files = {"root_certificates": args.tls_root, "certificate_chain": args.tls_cert, "private_key": args.tls_key}
    client = InferenceGRPCClient(url=args.server, use_ssl=bool(args.tls_root), **files)
    headers = [("authorization", f"Bearer {args.token}")] if args.token else None
    try:
        return await client.infer(InferRequest(model_name=args.model, infer_inputs=inputs), headers=headers)
    finally:
        await client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="npz file")
    parser.add_argument("--server", default="localhost:50051", help="host:port")
    parser.add_argument("--model", required=True, help="name of a published model")
    parser.add_argument("--output", default="rx.scores", help="output to read")
    parser.add_argument("--save", help="npz file to write version and scores to")
    parser.add_argument("--tls-root", help="certificates to trust (PEM); turns TLS on")
    parser.add_argument("--tls-cert", help="own certificate, for mutual TLS")
    parser.add_argument("--tls-key", help="key of that certificate")
    parser.add_argument("--token", default=os.environ.get("SWATH_TOKEN"), help="bearer token; better in SWATH_TOKEN")
    args = parser.parse_args()

    with np.load(args.file) as file:
        arrays = {name: file[name] for name in ("cube", "wavelengths")}
    inputs = []
    for name, array in arrays.items():
        given = InferInput(name, list(array.shape), DATATYPES[str(array.dtype)])
        given.set_data_from_numpy(array, binary_data=True)
        inputs.append(given)

    answer = asyncio.run(infer(args, inputs))
    version = answer.model_version
    scores = next(output for output in answer.outputs if output.name == args.output).as_numpy()
    print(f"version {version}: {args.output} {scores.dtype} {list(scores.shape)}, largest {scores.max():.6g}")
    if args.save:
        np.savez(args.save, version=int(version), scores=scores)


if __name__ == "__main__":
    main()
