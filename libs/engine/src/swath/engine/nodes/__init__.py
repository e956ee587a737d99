"""The nodes that Swath ships, in modules named as those of the reference package: ``cuvis_ai.node.X`` is here as X."""
