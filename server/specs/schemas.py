"""JSON Schemas of structs, for both specifications."""

from collections.abc import Iterable
from typing import Any

import msgspec

Json = dict[str, Any]
PLACE = "#/components/schemas/{name}"


def reference(shape: Any) -> Json:
    """A reference to the schema of a struct."""
    return {"$ref": PLACE.format(name=shape.__name__)}


def components(shapes: Iterable[Any]) -> Json:
    """The schemas of all structs and of what they hold, by name."""
    _, found = msgspec.json.schema_components(list(dict.fromkeys(shapes)), ref_template=PLACE)
    return dict(sorted(found.items()))
