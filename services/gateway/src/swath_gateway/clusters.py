"""Clusters of the gateway: the replicas of each service."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from swath.api import REGISTRY, Registry, Service
from swath.rpc.addresses import Address, parse_addresses
from swath_gateway.certificates import SERVICE_AUTHORITY, SERVICE_CERTIFICATE, Certificates
from swath_gateway.settings import GatewaySettings

COLLECTOR = "otlp"
ADMIN = "admin"
"""Envoy's own administration, on a Unix socket that only this machine reaches."""

_HTTP = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
_WINDOW = 4 * 1024 * 1024
_POLICIES = {"round_robin": "ROUND_ROBIN", "least_request": "LEAST_REQUEST"}


def envoy_address(address: Address) -> dict[str, Any]:
    """Return an address as Envoy writes it."""
    if address.is_unix:
        return {"pipe": {"path": address.path.replace("\0", "@", 1)}}
    return {"socket_address": {"address": address.host, "port_value": address.port}}


def headers_kb(settings: GatewaySettings) -> int:
    """Return the KiB of headers that the gateway takes, of a call and of its answer.

    It resets what is above without a word: services, which say why, refuse what is above the setting itself.
    """
    return 4 * -(-settings.max_metadata_bytes // 1024)


def clusters(
    settings: GatewaySettings, certificates: Certificates, admin: Path, registry: Registry = REGISTRY
) -> list[dict[str, Any]]:
    """Return one cluster per service, one for the administration's socket, one for the collector of spans if any.

    Services whose replicas are chosen by model have a second one, of the same replicas.
    """
    found = [_service(service, settings, certificates) for service in registry.services]
    if settings.route_by_model:
        found += [_by_model(service, settings, certificates) for service in registry.services if service.models]
    endpoint = {"endpoint": {"address": {"pipe": {"path": str(admin)}}}}
    found.append(
        {
            "name": ADMIN,
            "type": "STATIC",
            "load_assignment": {"cluster_name": ADMIN, "endpoints": [{"lb_endpoints": [endpoint]}]},
        }
    )
    if settings.otlp_address:
        found.append(_http2(COLLECTOR, parse_addresses(settings.otlp_address)))
    return found


def by_model(service: str) -> str:
    """Return the name of the cluster whose replicas are chosen by the model that a call names."""
    return f"{service}-by-model"


def _by_model(service: Service, settings: GatewaySettings, certificates: Certificates) -> dict[str, Any]:
    cluster = _service(service, settings, certificates)
    name = by_model(service.name)
    cluster["load_assignment"]["cluster_name"] = name
    # Of a replica that goes this moves its models and next to no others: Envoy's ring gives those that stay new places,
    # and moves a sixth of their models as well where two of three are left. Of what is too much for one replica at once
    # the rest goes to others.
    return cluster | {
        "name": name,
        "lb_policy": "MAGLEV",
        "common_lb_config": {
            **cluster["common_lb_config"],
            "consistent_hashing_lb_config": {"hash_balance_factor": settings.model_load_percent},
        },
    }


def _service(service: Service, settings: GatewaySettings, certificates: Certificates) -> dict[str, Any]:
    cluster = _http2(service.name, settings.addresses(service.name)) | {
        "lb_policy": _POLICIES[service.balancing],
        # With no replica ready a call is refused at once, instead of being sent to one that cannot answer.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": settings.max_connections,
                    "max_pending_requests": settings.max_requests,
                    "max_requests": settings.max_requests,
                    "retry_budget": {"budget_percent": {"value": 50}, "min_retry_concurrency": 20},
                }
            ]
        },
        "outlier_detection": {
            "split_external_local_origin_errors": True,
            "consecutive_local_origin_failure": 3,
            "consecutive_gateway_failure": 5,
            # What users' code answers says nothing of the replica that runs it.
            "enforcing_consecutive_gateway_failure": 0 if service.catch_all else 100,
            # Errors of clients are no failures of a replica.
            "enforcing_consecutive_5xx": 0,
            "enforcing_success_rate": 0,
            "interval": "1s",
            "base_ejection_time": "2s",
            "max_ejection_time": "30s",
            "max_ejection_percent": 50,
        },
        "health_checks": [
            {
                "grpc_health_check": {"service_name": service.health_name},
                "interval": "1s",
                "no_traffic_interval": "1s",
                # NOT_SERVING counts at once, as would an answer that has not come in time; broken connections count
                # when there are two. Lateness must not count: a replica whose processors are busy is slow, and others
                # would be slower with its share of the calls. A frozen one answers no ping, a dead one no connection.
                "timeout": "60s",
                "unhealthy_threshold": 2,
                "healthy_threshold": 1,
            }
        ],
    }
    options = cluster["typed_extension_protocol_options"]["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"]
    # Headers and trailers of answers, as those of calls: 60 KB unless said.
    options["common_http_protocol_options"] = {"max_response_headers_kb": headers_kb(settings)}
    if settings.tls_cert is not None:
        cluster["transport_socket"] = _tls(service.dns_name, certificates)
    return cluster


def _http2(name: str, addresses: tuple[Address, ...]) -> dict[str, Any]:
    return {
        "name": name,
        "type": "STATIC" if all(address.literal or address.is_unix for address in addresses) else "STRICT_DNS",
        "dns_refresh_rate": "2s",
        "respect_dns_ttl": False,
        "connect_timeout": "5s",
        "per_connection_buffer_limit_bytes": 1024 * 1024,
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [_endpoint(address) for address in addresses]}],
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _HTTP,
                "explicit_http_config": {
                    "http2_protocol_options": {
                        "max_concurrent_streams": 1000,
                        "initial_stream_window_size": _WINDOW,
                        "initial_connection_window_size": 4 * _WINDOW,
                        # A frozen replica answers no ping: its calls are reset, and idempotent ones are sent to
                        # another one.
                        "connection_keepalive": {"interval": "3s", "timeout": "7s"},
                    }
                },
            }
        },
    }


def _endpoint(address: Address) -> dict[str, Any]:
    return {"endpoint": {"address": envoy_address(address)}}


def _tls(name: str, certificates: Certificates) -> dict[str, Any]:
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": _TLS,
            "sni": name,
            "common_tls_context": {
                "alpn_protocols": ["h2"],
                # Envoy as a client goes up to 1.2 unless told otherwise.
                "tls_params": {
                    "tls_minimum_protocol_version": "TLSv1_3",
                    "tls_maximum_protocol_version": "TLSv1_3",
                },
                "tls_certificate_sds_secret_configs": [certificates.reference(SERVICE_CERTIFICATE)],
                "combined_validation_context": {
                    "default_validation_context": {
                        "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": name}}]
                    },
                    "validation_context_sds_secret_config": certificates.reference(SERVICE_AUTHORITY),
                },
            },
        },
    }
