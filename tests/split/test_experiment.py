"""ExperimentService in a suite: found at the gateway, and asked for whom calls it."""

from __future__ import annotations

import grpc
import pytest

from swath.experiment_service import experiment_service_pb2 as pb
from swath.experiment_service.experiment_service_pb2_grpc import ExperimentServiceStub
from swath_suite.suite import Suite


def test_the_service_asks_the_training_service_for_its_caller(suite: Suite):
    with suite.channel() as channel:
        stub = ExperimentServiceStub(channel)
        stub.ListExperimentRuns(pb.ListExperimentRunsRequest(), timeout=30, wait_for_ready=True)
        answer = stub.ApplyDataQuery(pb.DataQueryRequest(), timeout=30)
        assert answer.success
        assert not stub.CheckAgentHealth(pb.Empty(), timeout=30).available
        with pytest.raises(grpc.RpcError) as refused:
            stub.GetDataSplits(pb.Empty(), metadata=(("swath-experiment", "nobodys"),), timeout=30)
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
