"""What all documents share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Document(BaseModel):
    """A validated, immutable piece of configuration; unknown keys are refused.

    Titles are those of the cuvis_ai.v1 schemas, because clients see them in error texts and JSON Schemas.
    """

    # By default pydantic writes infinities as null; kept as they are, they can be refused when JSON is written.
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")
