"""The code of an application as one archive that is named by its digest."""

from swath.serve.bundles.packing import digest_of, pack
from swath.serve.bundles.unpacking import unpack, unpacked

__all__ = ["digest_of", "pack", "unpack", "unpacked"]
