"""JSON Schemas of structs, for both specifications."""

from collections.abc import Iterable
from typing import Any

import msgspec

Json = dict[str, Any]
PLACE = "#/components/schemas/{name}"


def reference(shape: Any) -> Json:
    """The schema of a type, which for a struct is a reference."""
    (schema,), _ = msgspec.json.schema_components([shape], ref_template=PLACE)
    return schema


def components(shapes: Iterable[Any]) -> Json:
    """The schemas of all structs and of what they hold, by name."""
    _, found = msgspec.json.schema_components(list(shapes), ref_template=PLACE)
    return dict(sorted(found.items()))
