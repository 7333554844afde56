"""Write the JSON schemas of report.json and of `explore --json` into the handbook.

They are made from the types that both have.

python -m tools.schemas
"""

import json

from kit.classroom.reports import json_report
from kit.exploring.reports import as_json

if __name__ == "__main__":
    for module in (json_report, as_json):
        text = json.dumps(module.schema(), indent=2)
        module.SCHEMA.write_text(f"{text}\n", encoding="utf-8")
