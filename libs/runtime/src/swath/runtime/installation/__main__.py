"""`python -m swath.runtime.installation`."""

import sys

from swath.runtime.installation.command import main

if __name__ == "__main__":
    sys.exit(main())
