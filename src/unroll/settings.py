"""The base of every settings class: unknown keys, wrong types and later changes are refused."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Part of params.yaml that belongs to one component, written beside that component."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)
