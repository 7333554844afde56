"""Write the JSON schema of report.json into the handbook, from the types that the reports have.

python -m tools.report_schema
"""

import json

from kit.classroom.reports import json_report

if __name__ == "__main__":
    text = json.dumps(json_report.schema(), indent=2)
    json_report.SCHEMA.write_text(f"{text}\n", encoding="utf-8")
