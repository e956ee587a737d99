"""`python -m swath_pipeline`: serve; `python -m swath_pipeline migrate`: bring the tables to this release's form."""

import sys

from swath.runtime.process import main
from swath_pipeline.app import PipelineReplicaSettings, assemble
from swath_pipeline.models.tables import SCHEMA

if __name__ == "__main__":
    sys.exit(main("pipeline", PipelineReplicaSettings, assemble, schema=SCHEMA))
