"""What all documents share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Document(BaseModel):
    """A validated, immutable piece of configuration; unknown keys are refused.

    Titles are those of the cuvis_ai.v1 schemas, because clients see them in error texts and JSON Schemas.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
