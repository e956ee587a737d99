"""Pictures: charts, maps, and pipelines as diagrams."""
