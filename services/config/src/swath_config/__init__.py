"""The config service: resolves, describes and checks configurations."""

from swath_config.service import ConfigService, Validity
from swath_config.servicer import ConfigServicer
from swath_config.settings import ConfigSettings

__all__ = ["ConfigService", "ConfigServicer", "ConfigSettings", "Validity"]
