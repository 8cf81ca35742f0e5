"""catalog.yaml -> datasets.

`load` reads a file, and names every mistake in it at once, by line. `document` knows YAML,
`values` knows what single values mean, `format` the keys. The schema for editors,
`catalog.schema.json`, is made of the same tables, by

    python -c "from datacachalog.manifest import schema_text as s; print(s(), end='')"
"""

from datacachalog.manifest.format import json_schema, schema_text
from datacachalog.manifest.loading import Manifest, load

__all__ = ["Manifest", "json_schema", "load", "schema_text"]
