"""Postprocess stage: makes a test file for pytest out of the model's cases.

Exit code 65 says that the answer cannot be used; what stands on stderr is told to the model.
"""

import ast
import json
import sys

draft = json.load(sys.stdin)
stem = draft["variables"]["stem"]
lines = [f"from {stem} import *", ""]
for number, case in enumerate(draft["json"]["tests"], 1):
    try:
        call, result = ast.parse(case["call"], mode="eval"), ast.literal_eval(case["result"])
    except (SyntaxError, ValueError):
        print(f"{case} is not a call and a literal in Python", file=sys.stderr)
        sys.exit(65)
    if not isinstance(call.body, ast.Call):
        print(f"{case['call']} is not a call", file=sys.stderr)
        sys.exit(65)
    lines += ["", f"def test_{stem}_{number}():", f"    assert {ast.unparse(call)} == {result!r}", ""]
json.dump({"output": "\n".join(lines)}, sys.stdout)
