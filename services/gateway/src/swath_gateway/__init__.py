"""The gateway: Envoy's configuration, made from the registry of services. No Python is in a call's path."""

from swath_gateway.bootstrap import bootstrap
from swath_gateway.settings import GatewaySettings

__all__ = ["GatewaySettings", "bootstrap"]
