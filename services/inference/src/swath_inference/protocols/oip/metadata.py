"""What the server and its models say of themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib import metadata

from swath.inference import open_inference_pb2 as pb
from swath.published.model import TensorSpec
from swath_inference.protocols.oip.tensors.datatypes import datatype_of
from swath_inference.published.model import Published

PLATFORM = "swath_pipeline"

_EXTENSIONS = (
    "classification",
    "model_repository",
    "model_repository(unload_dependents)",
    "schedule_policy",
    "model_configuration",
    "binary_tensor_data",
    "parameters",
    "statistics",
    "trace",
    "logging",
)
_SHARED_MEMORY = "system_shared_memory"


def server_metadata(*, shared_memory: bool) -> pb.ServerMetadataResponse:
    """Return name, version and extensions of the server: those that answer, and no others."""
    extensions = (*_EXTENSIONS, _SHARED_MEMORY) if shared_memory else _EXTENSIONS
    return pb.ServerMetadataResponse(name="swath", version=_version(), extensions=extensions)


def model_metadata(published: Published, versions: Iterable[int]) -> pb.ModelMetadataResponse:
    """Return what a version takes and gives.

    Args:
        published: The version.
        versions: Numbers of those that are told of.
    """
    return pb.ModelMetadataResponse(
        name=published.name,
        versions=[str(number) for number in versions],
        platform=PLATFORM,
        inputs=_tensors(published.inputs),
        outputs=_tensors(published.outputs),
    )


def model_config(published: Published, max_batch_size: int) -> pb.ModelConfig:
    """Return a version's configuration, as far as clients read it.

    Args:
        published: The version.
        max_batch_size: Its largest batch; 0 where the first axes of its tensors are not the batch's.
    """
    first = 1 if max_batch_size else 0
    pipeline_digest, weights_digest = published.key
    about = {**published.labels, "pipeline_digest": pipeline_digest, "weights_digest": weights_digest or ""}
    return pb.ModelConfig(
        name=published.name,
        platform=PLATFORM,
        backend="swath",
        version_policy=pb.ModelVersionPolicy(specific=pb.ModelVersionPolicy.Specific(versions=published.versions)),
        max_batch_size=max_batch_size,
        input=[
            pb.ModelInput(
                name=spec.name,
                data_type=datatype_of(spec.dtype).config,
                dims=_shape(spec)[first:],
                optional=spec.optional,
            )
            for spec in published.inputs
        ],
        output=[
            pb.ModelOutput(name=spec.name, data_type=datatype_of(spec.dtype).config, dims=_shape(spec)[first:])
            for spec in published.outputs
        ],
        parameters={name: pb.ModelParameter(string_value=value) for name, value in about.items()},
        model_transaction_policy=pb.ModelTransactionPolicy(decoupled=False),
    )


def _tensors(specs: Iterable[TensorSpec]) -> Iterator[pb.ModelMetadataResponse.TensorMetadata]:
    for spec in specs:
        yield pb.ModelMetadataResponse.TensorMetadata(
            name=spec.name, datatype=datatype_of(spec.dtype).name, shape=_shape(spec)
        )


def _shape(spec: TensorSpec) -> Sequence[int]:
    """Return a port's shape; what is no tensor is one element of BYTES."""
    return spec.shape if datatype_of(spec.dtype).size else (1,)


@cache
def _version() -> str:
    return metadata.version("swath-inference")
