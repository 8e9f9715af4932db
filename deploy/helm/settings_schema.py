"""The settings that the chart takes, from those that there are.

``python deploy/helm/settings_schema.py --write`` renews ``tunery/values.schema.json``.
"""

import json
import sys
from pathlib import Path
from typing import Any

from tunery_server.config import PREFIX, UNPREFIXED, Settings

SCHEMA = Path(__file__).parent / "tunery" / "values.schema.json"
OWN = UNPREFIXED | {"home", "host", "port", "device"}
"""The chart sets these itself, or by reference to a secret."""


def schema() -> dict[str, Any]:
    """The file with every setting's name in it."""
    found: dict[str, Any] = json.loads(SCHEMA.read_text())
    names = [f"{PREFIX}{name.upper()}" for name in Settings.model_fields if name not in OWN]
    found["properties"]["settings"]["propertyNames"]["enum"] = names
    return found


if __name__ == "__main__" and "--write" in sys.argv:
    SCHEMA.write_text(json.dumps(schema(), indent=2) + "\n")
