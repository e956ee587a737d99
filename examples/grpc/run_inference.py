"""Load a saved pipeline with its weights and run it on a scene, frame by frame.

    python examples/grpc/run_inference.py --pipeline-path pipeline/outputs/demo_pipeline \\
        --weights-path pipeline/outputs/demo_pipeline.pt --cu3s-file-path examples/data/san_diego.npz

Paths of pipeline and weights are the server's: absolute, or below its search paths. The scene is on this machine.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from swath.client import (
    build_stub,
    config_search_paths,
    create_session_with_search_paths,
    proto_to_numpy,
    read_scenes,
    tensor_to_proto,
)
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb


def print_specs(title: str, specs: Mapping[str, pb.TensorSpec]) -> None:
    """Print one line for each input or output."""
    print(f"\n{title}:")
    for name, spec in sorted(specs.items()):
        shape = "x".join(str(dim) for dim in spec.shape)
        print(f"  {name}: shape=[{shape}], dtype={pb.DType.Name(spec.dtype)}, required={spec.required}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pipeline-path", required=True, help="pipeline on the server")
    parser.add_argument("--weights-path", required=True, help="weights (.pt) on the server")
    parser.add_argument(
        "--cu3s-file-path", "--scene", required=True, type=Path, help="cu3s, ENVI, npz, MAT or TIFF file here"
    )
    parser.add_argument("--target", "--server", default="localhost:50051", help="gRPC target, host:port")
    parser.add_argument("--override", action="append", default=[], help="such as nodes.rx.hparams.eps=1e-5; repeatable")
    parser.add_argument(
        "--processing-mode",
        default="Reflectance",
        choices=["Raw", "Reflectance", "DarkSubtract", "SpectralRadiance"],
        help="how cu3s measurements are processed",
    )
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"], help="the server's to choose")
    args = parser.parse_args()
    if args.device != "auto":
        print(f"The server runs on the device that it was started with; --device {args.device} is not sent.")

    stub = build_stub(args.target, max_msg_size=600 * 1024 * 1024)
    session_id = create_session_with_search_paths(stub, config_search_paths())

    resolved = stub.ResolveConfig(
        pb.ResolveConfigRequest(
            session_id=session_id, config_type="pipeline", path=args.pipeline_path, overrides=args.override
        )
    )
    pipeline = pb.PipelineConfig(config_bytes=resolved.config_bytes)
    stub.LoadPipeline(pb.LoadPipelineRequest(session_id=session_id, pipeline=pipeline))
    stub.LoadPipelineWeights(
        pb.LoadPipelineWeightsRequest(session_id=session_id, weights_path=args.weights_path, strict=True)
    )

    inputs = stub.GetPipelineInputs(pb.GetPipelineInputsRequest(session_id=session_id))
    outputs = stub.GetPipelineOutputs(pb.GetPipelineOutputsRequest(session_id=session_id))
    print_specs("Input Specs", inputs.input_specs)
    print_specs("Output Specs", outputs.output_specs)

    for scene in read_scenes(args.cu3s_file_path, processing_mode=args.processing_mode):
        arrays = scene.inputs()
        batch = pb.InputBatch(cube=tensor_to_proto(arrays["cube"]))
        if arrays["wavelengths"] is not None:
            batch.wavelengths.CopyFrom(tensor_to_proto(arrays["wavelengths"]))
        reply = stub.Inference(pb.InferenceRequest(session_id=session_id, inputs=batch))
        print(f"\n{scene.name}:")
        for name, tensor in sorted(reply.outputs.items()):
            array = proto_to_numpy(tensor)
            print(f"  {name}: {array.dtype} {list(array.shape)}")

    stub.CloseSession(pb.CloseSessionRequest(session_id=session_id))


if __name__ == "__main__":
    main()
