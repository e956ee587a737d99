"""Routes of the gateway: each public method to the service that owns it."""

from __future__ import annotations

from typing import Any

from swath.api import REGISTRY, Registry, Service
from swath.api.descriptors import find_service
from swath.rpc.metadata import MODEL
from swath_gateway.clusters import by_model
from swath_gateway.settings import GatewaySettings

_UNTRACED = {each: {"numerator": 0} for each in ("client_sampling", "random_sampling", "overall_sampling")}
"""For probes and reflection: they are many, and nobody needs to know how long they took."""
_CALLED_AS = {
    "header": {"key": "x-forwarded-host", "value": "%REQ(:AUTHORITY)%"},
    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
}
"""Whoever answers may have to tell the client an address to call: one by which it has reached the gateway."""
_NOT_PROCESSED = "connect-failure,refused-stream"
_RETRY_IDEMPOTENT = f"{_NOT_PROCESSED},reset,unavailable"


def routes(settings: GatewaySettings, registry: Registry = REGISTRY) -> list[dict[str, Any]]:
    """Return Envoy's routes in the order of matching.

    Args:
        settings: Time limits.
        registry: Which service owns which method. What nobody owns goes to the one that answers users' services.
    """
    return [
        *(_private(name) for name in registry.private),
        *(
            route
            for path, part in registry.routes.items()
            for route in _of_method(path, registry.service(part), settings, registry)
        ),
        # Health's Watch and reflection are streams. Users' services are found where they are answered.
        *(
            {
                "match": {"prefix": prefix},
                "route": {"cluster": part, **_endless(), "retry_policy": _retries(False)},
                "tracing": _UNTRACED,
            }
            for prefix, part in (("/grpc.reflection.", registry.catch_all), ("/grpc.", registry.front))
        ),
        # Which of users' methods are streams is not known here: the client's deadline is their limit.
        {
            "match": {"prefix": "/", "grpc": {}},
            "route": {"cluster": registry.catch_all, **_endless(), "retry_policy": _retries(False)},
        },
        {
            "match": {"prefix": "/"},
            "direct_response": {"status": 415, "body": {"inline_string": "This address speaks gRPC and gRPC-Web.\n"}},
        },
    ]


def _private(service: str) -> dict[str, Any]:
    # gRPC clients see 404 as UNIMPLEMENTED, like any method that there is not.
    return {"match": {"prefix": f"/{service}/"}, "direct_response": {"status": 404}}


def _of_method(path: str, part: Service, settings: GatewaySettings, registry: Registry) -> list[dict[str, Any]]:
    plain = _method(path, part.name, settings, registry)
    if not (part.models and settings.route_by_model):
        return [plain]
    route = plain["route"]
    named = {
        **plain,
        "match": {**plain["match"], "headers": [{"name": MODEL, "present_match": True}]},
        "route": {
            **route,
            "cluster": by_model(part.name),
            "hash_policy": [{"header": {"header_name": MODEL}}],
            # The next place may be the same replica's.
            "retry_policy": {**route["retry_policy"], "host_selection_retry_max_attempts": 20},
        },
    }
    return [named, plain]


def _method(path: str, part: str, settings: GatewaySettings, registry: Registry) -> dict[str, Any]:
    service, name = path[1:].split("/")
    idempotent = name in registry.idempotent[service]
    times = _endless() if _is_stream(service, name) else _limited(settings)
    return {
        "match": {"path": path},
        **({"request_headers_to_add": [_CALLED_AS]} if path in registry.open else {}),
        "route": {"cluster": part, **times, "retry_policy": _retries(idempotent)},
        "tracing": {
            "operation": path[1:],
            "upstream_operation": path[1:],
            "custom_tags": [_tag("rpc.service", service), _tag("rpc.method", name)],
        },
    }


def _tag(name: str, value: str) -> dict[str, Any]:
    return {"tag": name, "literal": {"value": value}}


def _is_stream(service: str, name: str) -> bool:
    method = find_service(service).methods_by_name[name]
    return method.client_streaming or method.server_streaming


def _endless() -> dict[str, Any]:
    # Envoy's defaults cut a stream after 15 s, and an idle one after five minutes.
    return {"timeout": "0s", "idle_timeout": "0s", "max_stream_duration": {"grpc_timeout_header_max": "0s"}}


def _limited(settings: GatewaySettings) -> dict[str, Any]:
    return {
        "timeout": f"{settings.unary_timeout_s:g}s",
        "idle_timeout": f"{settings.unary_timeout_s:g}s",
        # A client's deadline counts where it comes first.
        "max_stream_duration": {"grpc_timeout_header_max": f"{settings.unary_timeout_s:g}s"},
    }


def _retries(idempotent: bool) -> dict[str, Any]:
    return {
        "retry_on": _RETRY_IDEMPOTENT if idempotent else _NOT_PROCESSED,
        "num_retries": 4,
        "retry_back_off": {"base_interval": "0.05s", "max_interval": "1s"},
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                },
            }
        ],
        "host_selection_retry_max_attempts": 3,
    }
