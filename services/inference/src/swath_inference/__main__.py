"""`python -m swath_inference`: serve."""

import sys

from swath.runtime.process import main
from swath_inference.app import InferenceReplicaSettings, assemble

if __name__ == "__main__":
    sys.exit(main("inference", InferenceReplicaSettings, assemble))
