"""Pipelines as graphs of nodes: the base classes, ports, documents to nodes, and the plan of a forward."""
