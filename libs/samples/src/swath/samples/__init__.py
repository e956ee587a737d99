"""Samples of training data: what they are, what runs and people say of them, and queries over all of it.

`manifest` and `signals` are what workers write, as Parquet; `SampleTable` is all of an experiment; `query` asks for
some of them; `pictures` shows them. Needs neither torch nor grpc.
"""

from swath.samples.edits import Edits, Tag
from swath.samples.manifest import Sample
from swath.samples.query import Query, parse
from swath.samples.table import Counts, SampleTable

__all__ = ["Counts", "Edits", "Query", "Sample", "SampleTable", "Tag", "parse"]
