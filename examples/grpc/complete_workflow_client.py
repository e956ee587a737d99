"""The whole workflow over gRPC: resolve, train in two phases, save, infer.

    swath serve                                           # in another terminal
    python examples/grpc/complete_workflow_client.py

The scene is uploaded first, so the server may be on any machine.
"""

from __future__ import annotations

import argparse
import json

from scene import add_scene_arguments, scene_batch, upload_scene

from swath.client import (
    apply_trainrun_config,
    build_stub,
    config_search_paths,
    create_session_with_search_paths,
    format_progress,
    numpy_to_proto,
    proto_to_numpy,
    resolve_trainrun_config,
)
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_scene_arguments(parser)
    parser.add_argument("--trainrun", default="san_diego_deep_svdd", help="trainrun below configs/trainrun")
    parser.add_argument("--max-epochs", type=int, default=2, help="epochs of the gradient phase")
    parser.add_argument("--pipeline-out", default="outputs/demo_pipeline.yaml", help="where the server saves it")
    parser.add_argument("--trainrun-out", default="outputs/demo_trainrun.yaml", help="where it saves the trainrun")
    args = parser.parse_args()

    upload_scene(args.target, args.scene)
    stub = build_stub(args.target)

    # 1 A session that finds the server's configs
    session_id = create_session_with_search_paths(stub, config_search_paths())
    print(f"Session {session_id}")

    # 2 Compose the trainrun on the server, with an override
    resolved, config = resolve_trainrun_config(
        stub, session_id, args.trainrun, overrides=[f"training.trainer.max_epochs={args.max_epochs}"]
    )
    print(f"Resolved trainrun {config['name']}: {json.dumps(config['training']['optimizer'])}")

    # 3 Set it: the server builds the pipeline that the trainrun holds or names
    apply_trainrun_config(stub, session_id, resolved.config_bytes)

    # 4 Train: statistics first, then gradient descent, calibration and evaluation
    for trainer_type, title in ((pb.TRAINER_TYPE_STATISTICAL, "statistical"), (pb.TRAINER_TYPE_GRADIENT, "gradient")):
        for progress in stub.Train(pb.TrainRequest(session_id=session_id, trainer_type=trainer_type)):
            print(f"{title:12} {format_progress(progress)}")

    # 5 Save what was trained, and how
    pipeline = stub.SavePipeline(pb.SavePipelineRequest(session_id=session_id, pipeline_path=args.pipeline_out))
    print(f"Pipeline saved to {pipeline.pipeline_path}, weights to {pipeline.weights_path}")
    trainrun = stub.SaveTrainRun(
        pb.SaveTrainRunRequest(session_id=session_id, trainrun_path=args.trainrun_out, save_weights=True)
    )
    print(f"Trainrun saved to {trainrun.trainrun_path}")

    # 6 Use it
    cube, wavelengths = scene_batch(args.scene)
    inputs = pb.InputBatch(cube=numpy_to_proto(cube), wavelengths=numpy_to_proto(wavelengths))
    reply = stub.Inference(pb.InferenceRequest(session_id=session_id, inputs=inputs))
    for name, tensor in sorted(reply.outputs.items()):
        array = proto_to_numpy(tensor)
        print(f"Output {name}: {array.dtype} {list(array.shape)}")

    stub.CloseSession(pb.CloseSessionRequest(session_id=session_id))
    print("Session closed.")


if __name__ == "__main__":
    main()
