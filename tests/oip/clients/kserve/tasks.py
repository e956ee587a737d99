"""What KServe's client does in the tests."""

import asyncio

import grpc
from kserve import InferenceGRPCClient, InferInput, InferRequest

MODEL, OUTPUT = "oip-rx", "rx.scores"


def _request(cube, wavelengths, *, raw, name=MODEL):
    inputs = []
    for key, datatype, array in (("cube", "FP32", cube), ("wavelengths", "INT32", wavelengths)):
        each = InferInput(key, list(array.shape), datatype)
        each.set_data_from_numpy(array, binary_data=raw)
        inputs.append(each)
    return InferRequest(model_name=name, infer_inputs=inputs, request_id="k")


def infer(target, cube, wavelengths):
    async def call():
        client = InferenceGRPCClient(url=target)
        try:
            facts = {
                "live": await client.is_server_live(),
                "ready": await client.is_server_ready(),
                "model": await client.is_model_ready(MODEL),
            }
            raw = await client.infer(_request(cube, wavelengths, raw=True))
            typed = await client.infer(_request(cube, wavelengths, raw=False))
            try:
                await client.infer(_request(cube, wavelengths, raw=True, name="nope"))
            except grpc.aio.AioRpcError as error:
                facts["refused"] = [error.code().name, error.details()]
            facts |= {"id": raw.id, "name": raw.model_name, "outputs": [each.name for each in raw.outputs]}
            found = {
                kind: next(each for each in answer.outputs if each.name == OUTPUT).as_numpy()
                for kind, answer in (("raw", raw), ("typed", typed))
            }
            return facts, found
        finally:
            await client.close()

    return asyncio.run(call())
