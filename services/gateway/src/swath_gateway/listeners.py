"""Listeners of the gateway: the public one, and one for probes and metrics."""

from __future__ import annotations

from typing import Any

from swath.api import REGISTRY, Registry
from swath.rpc.addresses import Address
from swath.rpc.metadata import MODEL
from swath_gateway.certificates import CLIENT_AUTHORITY, PUBLIC_CERTIFICATE, Certificates
from swath_gateway.clusters import ADMIN, COLLECTOR, envoy_address, headers_kb
from swath_gateway.routing import routes
from swath_gateway.settings import GatewaySettings

_MANAGER = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_FILTERS = "type.googleapis.com/envoy.extensions.filters.http"
_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext"
_ACCESS_LOG = "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog"
_TRACER = "type.googleapis.com/envoy.config.trace.v3.OpenTelemetryConfig"

_WINDOW = 4 * 1024 * 1024
_LINE = {
    "time": "%START_TIME%",
    "method": "%REQ(:PATH)%",
    "grpc_status": "%GRPC_STATUS(SNAKE_STRING)%",
    "http_status": "%RESPONSE_CODE%",
    "flags": "%RESPONSE_FLAGS%",
    "reason": "%RESPONSE_CODE_DETAILS%",
    "duration_ms": "%DURATION%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
    "service": "%UPSTREAM_CLUSTER_RAW%",
    "replica": "%UPSTREAM_HOST%",
    "peer": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "certificate": "%DOWNSTREAM_PEER_URI_SAN%",
    "agent": "%REQ(USER-AGENT)%",
    "trace": "%TRACE_ID%",
}


def public_listener(
    settings: GatewaySettings, certificates: Certificates, registry: Registry = REGISTRY
) -> dict[str, Any]:
    """Return the listener that clients call."""
    chain: dict[str, Any] = {"filters": [_manager("public", _public(settings, registry))]}
    if settings.public_tls_cert is not None:
        chain["transport_socket"] = _tls(settings, certificates)
    return {
        "name": "public",
        "address": _address(Address.of(settings.host, settings.port)),
        # Large messages stream through: this bounds what the gateway holds of each connection.
        "per_connection_buffer_limit_bytes": 1024 * 1024,
        "enable_reuse_port": False,
        "filter_chains": [chain],
    }


def probe_listener(settings: GatewaySettings, registry: Registry = REGISTRY) -> dict[str, Any]:
    """Return the plain HTTP listener for probes and Prometheus."""
    manager = {
        "codec_type": "HTTP1",
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "probe",
                    "domains": ["*"],
                    "routes": [
                        {"match": {"path": "/stats/prometheus"}, "route": {"cluster": ADMIN}},
                        {"match": {"prefix": "/"}, "direct_response": {"status": 404}},
                    ],
                }
            ]
        },
        "http_filters": [
            # Both answer 503 once the gateway drains.
            _probe("ready"),
            _probe("suite", cluster_min_healthy_percentages={name: {"value": 1} for name in registry.names}),
            _router(),
        ],
    }
    return {
        "name": "probe",
        "address": _address(Address.of(settings.host).at(settings.health_port)),
        "enable_reuse_port": False,
        # Probes must be answered when clients have taken all connections.
        "ignore_global_conn_limit": True,
        "filter_chains": [{"filters": [_manager("probe", manager)]}],
    }


def _public(settings: GatewaySettings, registry: Registry) -> dict[str, Any]:
    manager: dict[str, Any] = {
        "codec_type": "AUTO",
        "use_remote_address": True,
        "max_request_headers_kb": headers_kb(settings),
        # The gateway itself names the client; what a client claims is discarded.
        "forward_client_cert_details": "SANITIZE_SET",
        "set_current_client_cert_details": {"uri": True, "dns": True, "subject": True},
        # `triton_grpc_error` is metadata that Triton's clients send. No service takes `_` in a name for `-`.
        "common_http_protocol_options": {"idle_timeout": "3600s", "headers_with_underscores_action": "ALLOW"},
        "http2_protocol_options": {
            "max_concurrent_streams": 1000,
            "initial_stream_window_size": _WINDOW,
            "initial_connection_window_size": 4 * _WINDOW,
            "connection_keepalive": {"interval": "30s", "timeout": "10s"},
        },
        "stream_idle_timeout": "0s",
        "request_timeout": "0s",
        "access_log": [
            {
                "name": "envoy.access_loggers.stdout",
                "typed_config": {"@type": _ACCESS_LOG, "log_format": {"json_format": _LINE}},
            }
        ],
        "route_config": {
            "virtual_hosts": [
                {
                    "name": "swath",
                    "domains": ["*"],
                    "request_body_buffer_limit": settings.retry_bytes,
                    "typed_per_filter_config": {"envoy.filters.http.cors": _cors(settings)},
                    "routes": routes(settings, registry),
                }
            ]
        },
        "local_reply_config": {"mappers": [_nobody_ready()]},
        "http_filters": [
            _filter("cors", "cors.v3.Cors"),
            _filter("grpc_web", "grpc_web.v3.GrpcWeb"),
            # Calls by gRPC method and status, for Prometheus.
            _filter("grpc_stats", "grpc_stats.v3.FilterConfig", stats_for_all_methods=True),
            _router(),
        ],
    }
    if settings.otlp_address:
        manager["tracing"] = {
            "provider": {
                "name": "envoy.tracers.opentelemetry",
                "typed_config": {
                    "@type": _TRACER,
                    "grpc_service": {"envoy_grpc": {"cluster_name": COLLECTOR}, "timeout": "1s"},
                    "service_name": "swath-gateway",
                },
            },
            # Known methods have names of their own, with their routes.
            "operation": "unknown method",
            # The call to a service is a span of its own: one per attempt.
            "spawn_upstream_span": True,
            # The status is in Envoy's own tag, `grpc.status_code`: one made here comes too early for an attempt.
            "custom_tags": [{"tag": "rpc.system", "literal": {"value": "grpc"}}],
        }
    return manager


def _nobody_ready() -> dict[str, Any]:
    text = "no replica of %UPSTREAM_CLUSTER_RAW% is ready: nothing was done, and the call may be made again"
    return {
        "filter": {"response_flag_filter": {"flags": ["UH", "UF"]}},
        "body_format_override": {"text_format_source": {"inline_string": text}},
    }


def _manager(prefix: str, settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {"@type": _MANAGER, "stat_prefix": prefix, **settings},
    }


def _filter(name: str, kind: str, **settings: Any) -> dict[str, Any]:
    return {"name": f"envoy.filters.http.{name}", "typed_config": {"@type": f"{_FILTERS}.{kind}", **settings}}


def _probe(name: str, **conditions: Any) -> dict[str, Any]:
    """Return what answers GET /NAME with 200, or 503 where the conditions do not hold."""
    asked = [{"name": ":path", "string_match": {"exact": f"/{name}"}}]
    probe = _filter("health_check", "health_check.v3.HealthCheck", pass_through_mode=False, headers=asked, **conditions)
    return probe | {"name": name}


def _router() -> dict[str, Any]:
    return _filter("router", "router.v3.Router")


def _cors(settings: GatewaySettings) -> dict[str, Any]:
    origins = settings.cors_origins
    match = [{"safe_regex": {"regex": ".*"}}] if "*" in origins else [{"exact": origin} for origin in origins]
    return {
        "@type": f"{_FILTERS}.cors.v3.CorsPolicy",
        "allow_origin_string_match": match,
        "allow_methods": "POST, OPTIONS",
        "allow_headers": "content-type, x-grpc-web, x-user-agent, grpc-timeout, authorization, "
        f"swath-run-id, swath-after-seq, {MODEL}, traceparent, tracestate",
        "expose_headers": "grpc-status, grpc-message, grpc-status-details-bin, "
        "swath-run-id, swath-after-seq, swath-seq",
        "max_age": "86400",
    }


def _tls(settings: GatewaySettings, certificates: Certificates) -> dict[str, Any]:
    context: dict[str, Any] = {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "tls_certificate_sds_secret_configs": [certificates.reference(PUBLIC_CERTIFICATE)],
    }
    if settings.client_ca is not None:
        # Asked for, not required: a token will do. One that is shown must be good.
        context["validation_context_sds_secret_config"] = certificates.reference(CLIENT_AUTHORITY)
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {"@type": _TLS, "common_tls_context": context, "require_client_certificate": False},
    }


def _address(address: Address) -> dict[str, Any]:
    written = envoy_address(address)
    if address.host == "::":
        written["socket_address"]["ipv4_compat"] = True
    return written
