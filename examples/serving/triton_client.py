"""Call a published model with Triton's client, as it is.

    python examples/serving/triton_client.py --server localhost:50051 --model san-diego crop.npz

It needs `tritonclient[grpc]` and numpy alone, nothing of Swath. The npz file holds `cube` [1, H, W, C] in float32 and
`wavelengths` [1, C] in int32.
"""

from __future__ import annotations

import argparse
import os

import numpy as np
import tritonclient.grpc as triton

DATATYPES = {"float32": "FP32", "int32": "INT32"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="npz file")
    parser.add_argument("--server", default="localhost:50051", help="host:port")
    parser.add_argument("--model", required=True, help="name of a published model")
    parser.add_argument("--output", default="rx.scores", help="output to ask for")
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
        given = triton.InferInput(name, array.shape, DATATYPES[str(array.dtype)])
        given.set_data_from_numpy(array)
        inputs.append(given)

    files = {"root_certificates": args.tls_root, "certificate_chain": args.tls_cert, "private_key": args.tls_key}
    headers = {"authorization": f"Bearer {args.token}"} if args.token else None
    with triton.InferenceServerClient(args.server, ssl=bool(args.tls_root), **files) as client:
        outputs = [triton.InferRequestedOutput(args.output)]
        answer = client.infer(args.model, inputs, outputs=outputs, headers=headers)
    version, scores = answer.get_response().model_version, answer.as_numpy(args.output)
    print(f"version {version}: {args.output} {scores.dtype} {list(scores.shape)}, largest {scores.max():.6g}")
    if args.save:
        np.savez(args.save, version=int(version), scores=scores)


if __name__ == "__main__":
    main()
