"""What Triton's client does in the tests: only what it offers, as its users write it."""

import asyncio
import contextlib
import queue

import numpy as np
import tritonclient.grpc as sync
import tritonclient.grpc.aio as aio
import tritonclient.utils.shared_memory as shm
from tritonclient.utils import InferenceServerException

MODEL, OUTPUT = "oip-rx", "rx.scores"


def _input(cube, kind=sync):
    each = kind.InferInput("cube", cube.shape, "FP32")
    each.set_data_from_numpy(cube)
    return each


def _wavelengths(values, kind=sync):
    each = kind.InferInput("wavelengths", values.shape, "INT32")
    each.set_data_from_numpy(values)
    return each


def _refused(call):
    try:
        call()
    except InferenceServerException as error:
        return [error.status(), error.message()]
    return ["OK", ""]


def about(target, **_):
    client = sync.InferenceServerClient(target)
    facts = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model": client.is_model_ready(MODEL),
        "version": client.is_model_ready(MODEL, "1"),
        "other": client.is_model_ready("nope"),
        "server": client.get_server_metadata(as_json=True),
        "metadata": client.get_model_metadata(MODEL, as_json=True),
        "config": client.get_model_config(MODEL, as_json=True),
        "index": client.get_model_repository_index(as_json=True),
        "logs": client.get_log_settings(as_json=True),
        "traces": client.get_trace_settings(as_json=True),
        "unknown": _refused(lambda: client.get_model_metadata("nope")),
        "cuda": _refused(client.get_cuda_shared_memory_status),
    }
    client.close()
    return facts, {}


def infer(target, cube, wavelengths):
    with sync.InferenceServerClient(target) as client:
        inputs = [_input(cube), _wavelengths(wavelengths)]
        whole = client.infer(MODEL, inputs, request_id="a", priority=1, timeout=60_000_000, client_timeout=60)
        wanted = sync.InferRequestedOutput(OUTPUT)
        classes = sync.InferRequestedOutput(OUTPUT, class_count=3)
        alone = client.infer(MODEL, inputs, outputs=[wanted], sequence_id=7, sequence_start=True, parameters={"x": "y"})
        largest = client.infer(MODEL, inputs, outputs=[classes])
        pending = queue.Queue()
        client.async_infer(MODEL, inputs, callback=lambda result, error: pending.put((result, error)))
        result, error = pending.get(timeout=60)
        statistics = client.get_inference_statistics(MODEL, as_json=True)
        bad = _input(cube[..., :-1].copy())
        facts = {
            "id": whole.get_response().id,
            "version": whole.get_response().model_version,
            "outputs": [each.name for each in whole.get_response().outputs],
            "asked": [each.name for each in alone.get_response().outputs],
            "error": str(error),
            "classes": [each.decode() for each in largest.as_numpy(OUTPUT).ravel()],
            "statistics": statistics,
            "refused": _refused(lambda: client.infer(MODEL, [bad, inputs[1]])),
            "late": _refused(lambda: client.infer(MODEL, inputs, client_timeout=1e-6)),
        }
        return facts, {
            "whole": whole.as_numpy(OUTPUT),
            "alone": alone.as_numpy(OUTPUT),
            "later": result.as_numpy(OUTPUT),
        }


def shared_memory(target, cube, wavelengths):
    with sync.InferenceServerClient(target) as client:
        client.unregister_system_shared_memory()
        size, place = cube.nbytes, int(np.prod(cube.shape[:-1])) * 4
        given = shm.create_shared_memory_region("given", "/swath-test-oip-given", size)
        taken = shm.create_shared_memory_region("taken", "/swath-test-oip-taken", place)
        try:
            shm.set_shared_memory_region(given, [cube])
            client.register_system_shared_memory("given", "/swath-test-oip-given", size)
            client.register_system_shared_memory("taken", "/swath-test-oip-taken", place)
            status = client.get_system_shared_memory_status(as_json=True)
            first = sync.InferInput("cube", cube.shape, "FP32")
            first.set_shared_memory("given", size)
            wanted = sync.InferRequestedOutput(OUTPUT)
            wanted.set_shared_memory("taken", place)
            result = client.infer(MODEL, [first, _wavelengths(wavelengths)], outputs=[wanted])
            described = result.get_output(OUTPUT)
            found = shm.get_contents_as_numpy(taken, np.float32, list(described.shape)).copy()
            again = _refused(lambda: client.register_system_shared_memory("given", "/swath-test-oip-given", size))
            client.unregister_system_shared_memory("given")
            left = client.get_system_shared_memory_status(as_json=True)
            client.unregister_system_shared_memory()
            facts = {
                "status": sorted(status["regions"]),
                "left": sorted(left["regions"]),
                "again": again,
                "gone": _refused(lambda: client.infer(MODEL, [first, _wavelengths(wavelengths)])),
            }
            return facts, {"found": found}
        finally:
            shm.destroy_shared_memory_region(given)
            shm.destroy_shared_memory_region(taken)


def stream(target, cube, wavelengths):
    with sync.InferenceServerClient(target) as client:
        answers = queue.Queue()
        client.start_stream(callback=lambda result, error: answers.put((result, error)))
        good = [_input(cube), _wavelengths(wavelengths)]
        for number in range(5):
            name = "nope" if number == 3 else MODEL
            client.async_stream_infer(name, good, request_id=str(number), enable_empty_final_response=True)
        found = [answers.get(timeout=60) for _ in range(5)]
        client.stop_stream()
        client.start_stream(
            callback=lambda result, error: answers.put((result, error)), headers={"triton_grpc_error": "true"}
        )
        with contextlib.suppress(InferenceServerException):  # the client may hear of the end before this returns
            client.async_stream_infer("nope", good)
        _, ended = answers.get(timeout=60)
        client.stop_stream()
        return {
            "ids": [None if result is None else result.get_response().id for result, _ in found],
            "final": [
                None if result is None else result.get_response().parameters["triton_final_response"].bool_param
                for result, _ in found
            ],
            "errors": [None if error is None else error.message() for _, error in found],
            "ended": [str(ended.status()), ended.message()],
        }, {"scores": found[0][0].as_numpy(OUTPUT)}


def asynchronous(target, cube, wavelengths):
    async def call():
        async with aio.InferenceServerClient(target) as client:
            inputs = [_input(cube, aio), _wavelengths(wavelengths, aio)]
            results = await asyncio.gather(*(client.infer(MODEL, inputs, request_id=str(each)) for each in range(16)))

            async def requests():
                for number in range(6):
                    yield {"model_name": "nope" if number == 2 else MODEL, "inputs": inputs, "request_id": str(number)}

            streamed = [(result, error) async for result, error in client.stream_infer(requests())]
            endless = client.stream_infer(_waiting(inputs))
            first, _ = await anext(endless)
            endless.cancel()
            try:
                await client.infer("nope", inputs)
                refused = ["OK"]
            except InferenceServerException as error:
                refused = [error.status(), error.message()]
            return {
                "ids": [each.get_response().id for each in results],
                "streamed": [None if result is None else result.get_response().id for result, _ in streamed],
                "errors": [None if error is None else error.message() for _, error in streamed],
                "refused": refused,
                "first": first.get_response().model_name,
            }, {"scores": results[-1].as_numpy(OUTPUT), "streamed": streamed[-1][0].as_numpy(OUTPUT)}

    async def _waiting(inputs):
        yield {"model_name": MODEL, "inputs": inputs}
        await asyncio.sleep(60)

    return asyncio.run(call())


def repository(target, cube, wavelengths):
    with sync.InferenceServerClient(target) as client:
        inputs = [_input(cube), _wavelengths(wavelengths)]
        client.unload_model(MODEL)
        facts = {
            "unloaded": client.is_model_ready(MODEL),
            "refused": _refused(lambda: client.infer(MODEL, inputs)),
            "index": client.get_model_repository_index(as_json=True),
        }
        client.load_model(MODEL)
        facts |= {
            "loaded": client.is_model_ready(MODEL),
            "unknown": _refused(lambda: client.load_model("nope")),
            "statistics": client.get_inference_statistics(MODEL, as_json=True),
        }
        return facts, {"scores": client.infer(MODEL, inputs).as_numpy(OUTPUT)}
