"""Importing this makes protobuf know every service that clients may call, for whoever looks one up by its name."""

import swath.cuvis_ai.v1.cuvis_ai_pb2
import swath.pipeline.v1.nodes_pb2
import swath.training.v1.runs_pb2
import swath.workspace.v1.workspace_pb2  # noqa: F401
