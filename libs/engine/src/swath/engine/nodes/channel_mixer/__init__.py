"""Nodes that mix many channels to few."""

from swath.engine.nodes.channel_mixer.concrete import ConcreteChannelMixer
from swath.engine.nodes.channel_mixer.learnable import LearnableChannelMixer

__all__ = ["ConcreteChannelMixer", "LearnableChannelMixer"]
