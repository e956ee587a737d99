"""Statistical training: global RX fits in one pass over the data, no gradients.

python examples/grpc/statistical_training_client.py --target localhost:50051
"""

from __future__ import annotations

import argparse

from scene import add_scene_arguments, scene_batch, upload_scene

from swath.client import (
    apply_trainrun_config,
    build_stub,
    config_search_paths,
    create_session_with_search_paths,
    format_progress,
    numpy_to_proto,
    resolve_trainrun_config,
)
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_scene_arguments(parser)
    parser.add_argument("--trainrun", default="san_diego_rx", help="trainrun below configs/trainrun")
    args = parser.parse_args()

    upload_scene(args.target, args.scene)
    stub = build_stub(args.target)
    session_id = create_session_with_search_paths(stub, config_search_paths())
    print(f"Session {session_id}")

    resolved, config = resolve_trainrun_config(stub, session_id, args.trainrun, overrides=["data.batch_size=1"])
    print(f"Resolved trainrun {config['name']}")
    apply_trainrun_config(stub, session_id, resolved.config_bytes)

    request = pb.TrainRequest(session_id=session_id, trainer_type=pb.TRAINER_TYPE_STATISTICAL)
    for progress in stub.Train(request):
        print(format_progress(progress))

    status = stub.GetTrainStatus(pb.GetTrainStatusRequest(session_id=session_id)).latest_progress
    print(f"Training ended as {pb.TrainStatus.Name(status.status)}")

    cube, wavelengths = scene_batch(args.scene)
    inputs = pb.InputBatch(cube=numpy_to_proto(cube), wavelengths=numpy_to_proto(wavelengths))
    reply = stub.Inference(pb.InferenceRequest(session_id=session_id, inputs=inputs))
    print(f"Inference outputs: {sorted(reply.outputs)}")

    stub.CloseSession(pb.CloseSessionRequest(session_id=session_id))
    print("Session closed.")


if __name__ == "__main__":
    main()
