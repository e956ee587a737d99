"""`python -m swath_training`: serve; `python -m swath_training migrate`: bring the tables to this release's form."""

import sys

from swath.runtime.process import main
from swath_training.app import TrainingReplicaSettings, assemble
from swath_training.assembly import DATABASE
from swath_training.runs.database.tables import SCHEMA

if __name__ == "__main__":
    sys.exit(main("training", TrainingReplicaSettings, assemble, schema=SCHEMA, database=DATABASE))
