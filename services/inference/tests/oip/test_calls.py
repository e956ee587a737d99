"""The protocol's calls over a real server, by raw stubs."""

import asyncio
import re
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from swath.inference import open_inference_pb2 as pb
from swath.published.model import Alias, Share
from swath_inference.dataplane import forward

from .conftest import NODES, SCALE, raw_input, refusal

pytestmark = pytest.mark.timeout(60)

CUBE = np.random.default_rng(7).random((2, 3, 4, 5), dtype=np.float32)
RX = {"class_name": f"{NODES}.anomaly.rx_detector.RXGlobal", "hparams": {"num_channels": 3}}


def _scaled(cube):
    """Return each channel of each item between its own bounds, in double precision."""
    least, most = cube.min((1, 2), keepdims=True).astype(float), cube.max((1, 2), keepdims=True).astype(float)
    return (cube - least) / (most - least)


SCALED = _scaled(CUBE)


def _array(response, index=0):
    described, raw = response.outputs[index], response.raw_output_contents[index]
    assert not described.HasField("contents")
    return np.frombuffer(raw, np.float32).reshape(described.shape)


def _beside(name):
    """Return the fields of a request with one input too many."""
    one, more = raw_input(CUBE), raw_input(CUBE, name)
    return {key: [*one[key], *more[key]] for key in one}


class TestServer:
    async def test_it_lives_and_is_ready_as_its_replica_is(self, door):
        assert (await door.stub.ServerLive(pb.ServerLiveRequest())).live
        assert (await door.stub.ServerReady(pb.ServerReadyRequest())).ready
        door.ready = False
        assert not (await door.stub.ServerReady(pb.ServerReadyRequest())).ready
        assert not (await door.stub.ModelReady(pb.ModelReadyRequest(name="scale"))).ready

    async def test_what_it_announces_answers(self, door):
        found = await door.stub.ServerMetadata(pb.ServerMetadataRequest())
        assert found.name == "swath"
        assert found.version
        assert set(found.extensions) == {
            "classification",
            "model_repository",
            "model_repository(unload_dependents)",
            "schedule_policy",
            "model_configuration",
            "system_shared_memory",
            "binary_tensor_data",
            "parameters",
            "statistics",
            "trace",
            "logging",
        }

    async def test_shared_memory_is_announced_where_there_is_some(self, opened):
        door = await opened(shared_memory=False)
        found = await door.stub.ServerMetadata(pb.ServerMetadataRequest())
        assert "system_shared_memory" not in found.extensions
        code, _ = await refusal(door.stub.SystemSharedMemoryStatus(pb.SystemSharedMemoryStatusRequest()))
        assert code == "UNIMPLEMENTED"

    async def test_cuda_shared_memory_is_not_there(self, door):
        for call in (
            door.stub.CudaSharedMemoryStatus(pb.CudaSharedMemoryStatusRequest()),
            door.stub.CudaSharedMemoryRegister(pb.CudaSharedMemoryRegisterRequest(name="c")),
            door.stub.CudaSharedMemoryUnregister(pb.CudaSharedMemoryUnregisterRequest()),
        ):
            assert (await refusal(call))[0] == "UNIMPLEMENTED"

    async def test_a_method_that_there_is_not(self, door):
        call = door.channel.unary_unary("/inference.GRPCInferenceService/ModelExplain")
        assert (await refusal(call(b"")))[0] == "UNIMPLEMENTED"

    async def test_health_knows_its_name_and_no_others(self, door):
        health: Any = health_pb2_grpc.HealthStub(door.channel)
        for name in ("", "inference.GRPCInferenceService"):
            answer = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
            watch = health.Watch(health_pb2.HealthCheckRequest(service=name))
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
            watch.cancel()
        assert (await refusal(health.Check(health_pb2.HealthCheckRequest(service="other"))))[0] == "NOT_FOUND"


class TestModels:
    async def test_a_model_is_ready_when_it_answers(self, door):
        for name, version, ready in (
            ("scale", "", True),
            ("scale", "1", True),
            ("scale", "9", False),
            ("no", "", False),
        ):
            answer = await door.stub.ModelReady(pb.ModelReadyRequest(name=name, version=version))
            assert answer.ready is ready

    async def test_metadata_says_what_it_takes_and_gives(self, door):
        found = await door.stub.ModelMetadata(pb.ModelMetadataRequest(name="scale"))
        assert (found.name, list(found.versions), bool(found.platform)) == ("scale", ["1"], True)
        [data], [normalized] = found.inputs, found.outputs
        assert (data.name, data.datatype, list(data.shape)) == ("data", "FP32", [-1, -1, -1, -1])
        assert (normalized.name, normalized.datatype, list(normalized.shape)) == (
            "node.normalized",
            "FP32",
            [-1, -1, -1, -1],
        )

    async def test_without_a_version_all_of_them_are_told_and_with_one_only_that(self, door, shop):
        shop.publish("scale", {"name": "other", **SCALE})
        for version, versions in (("", ["1", "2"]), ("1", ["1"]), ("2", ["2"])):
            found = await door.stub.ModelMetadata(pb.ModelMetadataRequest(name="scale", version=version))
            assert list(found.versions) == versions

    async def test_a_model_that_batches_leaves_the_batch_out_of_its_dims(self, door):
        config = (await door.stub.ModelConfig(pb.ModelConfigRequest(name="scale"))).config
        assert (config.name, config.max_batch_size) == ("scale", 16)
        assert (config.input[0].name, config.input[0].data_type, list(config.input[0].dims)) == (
            "data",
            pb.TYPE_FP32,
            [-1, -1, -1],
        )
        assert list(config.output[0].dims) == [-1, -1, -1]
        assert not config.model_transaction_policy.decoupled

    async def test_one_whose_items_depend_on_one_another_has_no_batches(self, door, shop):
        shop.publish(
            "together",
            {"name": "node", "class_name": f"{NODES}.normalization.ZScoreNormalizer", "hparams": {"dims": [0, 1, 2]}},
        )
        config = (await door.stub.ModelConfig(pb.ModelConfigRequest(name="together"))).config
        assert (config.max_batch_size, len(config.input[0].dims)) == (0, 4)

    async def test_which_inputs_may_be_left_out_stands_in_the_configuration(self, door, shop):
        shop.publish(
            "data",
            {
                "name": "node",
                "class_name": f"{NODES}.data.LentilsAnomalyDataNode",
                "hparams": {"normal_class_ids": [0]},
            },
        )
        config = (await door.stub.ModelConfig(pb.ModelConfigRequest(name="data"))).config
        optional = {each.name: each.optional for each in config.input}
        assert optional["cube"] is False
        assert optional["mask"] is True


class TestInfer:
    async def test_raw(self, door):
        response = await door.infer(id="ü" * 5000, **raw_input(CUBE))
        assert (response.model_name, response.model_version, response.id) == ("scale", "1", "ü" * 5000)
        assert response.outputs[0].name == "node.normalized"
        assert not response.parameters
        np.testing.assert_allclose(_array(response), SCALED, atol=1e-6)

    async def test_typed_gives_the_same_bits(self, door):
        request = pb.ModelInferRequest.InferInputTensor(name="data", datatype="FP32", shape=CUBE.shape)
        request.contents.fp32_contents.extend(CUBE.ravel().tolist())
        typed = await door.infer(inputs=[request])
        assert list(typed.raw_output_contents) == list((await door.infer(**raw_input(CUBE))).raw_output_contents)

    async def test_large_inputs_and_outputs(self, door):
        cube = np.random.default_rng(3).random((1, 300, 300, 61), dtype=np.float32)
        found = _array(await door.infer(**raw_input(cube)))
        np.testing.assert_allclose(found, _scaled(cube), atol=1e-6)

    async def test_an_output_that_is_asked_for(self, door):
        wanted = [pb.ModelInferRequest.InferRequestedOutputTensor(name="node.normalized")]
        assert len((await door.infer(outputs=wanted, **raw_input(CUBE))).outputs) == 1

    async def test_classes(self, door):
        wanted = pb.ModelInferRequest.InferRequestedOutputTensor(name="node.normalized")
        wanted.parameters["classification"].int64_param = 1
        plain, response = await door.infer(**raw_input(CUBE)), await door.infer(outputs=[wanted], **raw_input(CUBE))
        assert (response.outputs[0].datatype, list(response.outputs[0].shape)) == ("BYTES", [2, 1])
        largest = [f"1.000000:{int(np.argmax(_array(plain)[index]))}".encode() for index in range(2)]
        assert response.raw_output_contents[0] == b"".join(len(each).to_bytes(4, "little") + each for each in largest)

    async def test_parameters_of_sequences_and_of_nobody_ask_for_nothing(self, door):
        request = pb.ModelInferRequest(model_name="scale", **raw_input(CUBE))
        request.parameters["sequence_id"].int64_param = 3
        request.parameters["sequence_start"].bool_param = True
        request.parameters["mine"].string_param = "x"
        request.inputs[0].parameters["binary_data_size"].int64_param = CUBE.nbytes
        assert not (await door.stub.ModelInfer(request)).parameters

    async def test_an_alias_stands_for_its_version(self, door, shop):
        shop.publish(
            "scale",
            {"name": "other", **SCALE},
            aliases=(Alias("stable", (Share(1, 100.0),)), Alias("next", (Share(2, 100.0),))),
        )
        for version, ran in (("", "1"), ("stable", "1"), ("next", "2"), ("2", "2"), ("01", "1")):
            assert (await door.infer(model_version=version, **raw_input(CUBE))).model_version == ran

    async def test_an_empty_batch_is_legal(self, door):
        response = await door.infer(**raw_input(CUBE[:0]))
        assert list(response.outputs[0].shape) == [0, 3, 4, 5]
        assert response.raw_output_contents[0] == b""

    @pytest.mark.parametrize(
        ("fields", "code", "text"),
        [
            ({"name": "nope"}, "NOT_FOUND", "nope"),
            ({"name": ""}, "NOT_FOUND", "Model"),
            ({"model_version": "9"}, "NOT_FOUND", "9"),
            ({"model_version": "-1"}, "INVALID_ARGUMENT", "-1"),
            ({"model_version": "0"}, "INVALID_ARGUMENT", "0"),
            ({"model_version": "1.5"}, "NOT_FOUND", "1.5"),
            ({"inputs": []}, "INVALID_ARGUMENT", "1 entries|got 1"),
            (_beside("more"), "INVALID_ARGUMENT", "unexpected inference input 'more' for model 'scale'"),
            ({"inputs": [], "raw_input_contents": []}, "INVALID_ARGUMENT", "missing required inputs.*data"),
            (raw_input(CUBE, "cubex"), "INVALID_ARGUMENT", "unexpected inference input 'cubex' for model 'scale'"),
            (
                raw_input(np.zeros((17, 1, 1, 1), np.float32)),
                "INVALID_ARGUMENT",
                "batch-size must be <= 16 for 'scale'",
            ),
            (raw_input(CUBE.astype(np.float64)), "INVALID_ARGUMENT", "data-type is 'FP64'"),
            (raw_input(np.zeros((1, 0, 2, 2), np.float32)), "INVALID_ARGUMENT", "no elements in a frame"),
        ],
    )
    async def test_what_is_wrong_is_said(self, door, fields, code, text):
        found, said = await refusal(door.infer(**{**raw_input(CUBE), **fields}))
        assert found == code
        assert re.search(text, said)

    async def test_a_shape_whose_sizes_overflow_harms_nobody(self, door):
        shape = pb.ModelInferRequest.InferInputTensor(name="data", datatype="FP32", shape=[2**32, 2**32, 1, 1])
        code, _ = await refusal(door.infer(inputs=[shape], raw_input_contents=[b""]))
        assert code == "INVALID_ARGUMENT"
        np.testing.assert_allclose(_array(await door.infer(**raw_input(CUBE))), SCALED, atol=1e-6)

    async def test_nothing_goes_out_that_the_metadata_has_told_otherwise_of(self, door, shop):
        model = shop.catalogue["scale"]
        [version] = model.versions
        [output] = version.outputs
        for told in (
            replace(output, dtype="float64"),
            replace(output, shape=(-1, -1)),
            replace(output, shape=(-1,) * 3 + (7,)),
        ):
            shop.put(replace(model, versions=(replace(version, outputs=(told,)),)))
            code, text = await refusal(door.infer(**raw_input(CUBE)))
            assert (code, "gave an output 'node.normalized' of FP32 [2, 3, 4, 5], and has declared" in text) == (
                "INTERNAL",
                True,
            )
        shop.put(model)
        assert len((await door.infer(**raw_input(CUBE))).outputs) == 1

    async def test_calls_that_come_together_each_get_their_own(self, door):
        rng = np.random.default_rng(3)
        cubes = [rng.random((1, 3, 4, 5), dtype=np.float32) for _ in range(40)]

        async def ask(number) -> Any:
            wrong = number % 4 == 0
            fields = raw_input(cubes[number])
            if wrong:
                # One that says more than it sends would read on into another's.
                fields["inputs"][0].shape[0] = 2
            try:
                return _array(await door.infer(**fields))
            except grpc.aio.AioRpcError as error:
                assert wrong
                return error.code().name

        for number, found in enumerate(await asyncio.gather(*map(ask, range(40)))):
            if number % 4 == 0:
                assert found == "INVALID_ARGUMENT"
            else:
                np.testing.assert_allclose(found, _scaled(cubes[number]), atol=1e-6)

    async def test_a_model_that_was_not_trained_says_so(self, door, shop):
        shop.publish("rx", {"name": "rx", **RX})
        code, text = await refusal(door.infer("rx", **raw_input(np.zeros((1, 2, 2, 3), np.float32))))
        assert (code, "rx" in text) == ("FAILED_PRECONDITION", True)

    async def test_bytes_that_are_no_message(self, door):
        call = door.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        assert (await refusal(call(b"\xff\xff\xff")))[0] == "INVALID_ARGUMENT"

    async def test_a_fault_of_the_server_shows_nothing_of_it(self, door, monkeypatch):
        def fail(*_):
            raise RuntimeError("/a/path/of/the/server.py")

        monkeypatch.setattr(forward, "_compute", fail)
        code, text = await refusal(door.infer(**raw_input(CUBE)))
        assert (code, "server.py" in text) == ("INTERNAL", False)

    async def test_a_model_that_is_taken_back_is_not_found(self, door, shop):
        await door.infer(**raw_input(CUBE))
        shop.remove("scale")
        assert (await refusal(door.infer(**raw_input(CUBE))))[0] == "NOT_FOUND"
