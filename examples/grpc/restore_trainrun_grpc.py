"""Restore a saved trainrun: look at it, train it again, or evaluate it.

    python examples/grpc/restore_trainrun_grpc.py --trainrun-path outputs/demo_trainrun.yaml \\
        --weights-path outputs/demo_trainrun_pipeline.pt --mode test

Paths are the server's, as SaveTrainRun answered them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import PurePosixPath

from run_inference import print_specs

from swath.client import build_stub, format_progress
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

PHASES = {
    "train": (pb.TRAINER_TYPE_STATISTICAL, pb.TRAINER_TYPE_GRADIENT),
    "validate": (pb.TRAINER_TYPE_CALIBRATION,),
    "test": (pb.TRAINER_TYPE_CALIBRATION,),
}
SPLITS = {"validate": pb.EXECUTION_STAGE_VAL, "test": pb.EXECUTION_STAGE_TEST}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trainrun-path", required=True, help="saved trainrun on the server")
    parser.add_argument("--mode", choices=["info", *PHASES], default="info", help="what to do with it")
    parser.add_argument("--weights-path", default=None, help="weights (.pt) on the server; none if left out")
    parser.add_argument("--target", "--server", default="localhost:50051", help="gRPC target, host:port")
    parser.add_argument("--override", action="append", default=[], help="such as data.batch_size=16; repeatable")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"], help="the server's to choose")
    args = parser.parse_args()
    if args.device != "auto":
        print(f"The server runs on the device that it was started with; --device {args.device} is not sent.")

    stub = build_stub(args.target)
    restored = stub.RestoreTrainRun(
        pb.RestoreTrainRunRequest(trainrun_path=args.trainrun_path, weights_path=args.weights_path, strict=True)
    )
    session_id = restored.session_id
    config = json.loads(restored.trainrun.config_bytes)
    print(f"Restored trainrun {config['name']} in session {session_id}")

    if args.override:
        # Overrides need the config to be composed anew; the pipeline stays the one that was restored.
        path = PurePosixPath(args.trainrun_path)
        stub.SetSessionSearchPaths(
            pb.SetSessionSearchPathsRequest(session_id=session_id, search_paths=[str(path.parent)], append=True)
        )
        resolved = stub.ResolveConfig(
            pb.ResolveConfigRequest(
                session_id=session_id, config_type="trainrun", path=path.stem, overrides=args.override
            )
        )
        config = json.loads(resolved.config_bytes)
        config.pop("pipeline", None)
        stub.SetTrainRunConfig(
            pb.SetTrainRunConfigRequest(
                session_id=session_id, config=pb.TrainRunConfig(config_bytes=json.dumps(config).encode())
            )
        )

    if args.mode == "info":
        inputs = stub.GetPipelineInputs(pb.GetPipelineInputsRequest(session_id=session_id))
        outputs = stub.GetPipelineOutputs(pb.GetPipelineOutputsRequest(session_id=session_id))
        print_specs("Input Specs", inputs.input_specs)
        print_specs("Output Specs", outputs.output_specs)

    for trainer_type in PHASES.get(args.mode, ()):
        if trainer_type == pb.TRAINER_TYPE_GRADIENT and not config.get("loss_nodes"):
            continue
        for progress in stub.Train(pb.TrainRequest(session_id=session_id, trainer_type=trainer_type)):
            print(format_progress(progress))
            report = progress.event.evaluation
            if args.mode != "train" and report.metrics and report.split == SPLITS[args.mode]:
                numbers = ", ".join(f"{name} {value:.4f}" for name, value in sorted(report.metrics.items()))
                print(f"{args.mode}: {numbers}")

    stub.CloseSession(pb.CloseSessionRequest(session_id=session_id))
    print("Session closed.")


if __name__ == "__main__":
    main()
