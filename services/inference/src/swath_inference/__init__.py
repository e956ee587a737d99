"""The inference service: loaded models and the calls that run them. Importing it does not import torch."""

from swath_inference.assembly import build
from swath_inference.profiling.profiler import NoReplicas
from swath_inference.protocols.cuvis.servicer import InferenceServicer
from swath_inference.protocols.redhare.identities import Identities
from swath_inference.service import InferenceService
from swath_inference.settings import InferenceSettings

__all__ = ["Identities", "InferenceService", "InferenceServicer", "InferenceSettings", "NoReplicas", "build"]
