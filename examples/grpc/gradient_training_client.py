"""Gradient training: Deep SVDD with its own learning rate and weight decay.

python examples/grpc/gradient_training_client.py --target localhost:50051
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
    parser.add_argument("--trainrun", default="san_diego_deep_svdd", help="trainrun below configs/trainrun")
    parser.add_argument("--max-epochs", type=int, default=2)
    parser.add_argument("--lr", type=float, default=5e-4)
    parser.add_argument("--weight-decay", type=float, default=0.005)
    args = parser.parse_args()

    upload_scene(args.target, args.scene)
    stub = build_stub(args.target)
    session_id = create_session_with_search_paths(stub, config_search_paths())
    print(f"Session {session_id}")

    overrides = [
        f"training.max_epochs={args.max_epochs}",
        f"training.optimizer.lr={args.lr}",
        f"training.optimizer.weight_decay={args.weight_decay}",
    ]
    resolved, config = resolve_trainrun_config(stub, session_id, args.trainrun, overrides)
    print(f"Resolved trainrun {config['name']} with losses {config['loss_nodes']}")
    apply_trainrun_config(stub, session_id, resolved.config_bytes)

    # The statistical phase gives the nodes their starting values.
    for progress in stub.Train(pb.TrainRequest(session_id=session_id, trainer_type=pb.TRAINER_TYPE_STATISTICAL)):
        print(f"statistical {format_progress(progress)}")
    for progress in stub.Train(pb.TrainRequest(session_id=session_id, trainer_type=pb.TRAINER_TYPE_GRADIENT)):
        print(f"gradient    {format_progress(progress)}")

    cube, wavelengths = scene_batch(args.scene)
    inputs = pb.InputBatch(cube=numpy_to_proto(cube), wavelengths=numpy_to_proto(wavelengths))
    reply = stub.Inference(pb.InferenceRequest(session_id=session_id, inputs=inputs))
    print(f"Inference outputs: {sorted(reply.outputs)}")

    stub.CloseSession(pb.CloseSessionRequest(session_id=session_id))
    print("Session closed.")


if __name__ == "__main__":
    main()
