"""Preprocess stage: asks for test cases of the target file, with two examples, as a small model needs them.

Reads the draft as JSON, writes the fields that change. Any language would do.
"""

import json
import sys

SYSTEM = "You write test cases for Python functions. Answer with JSON: calls of the functions and what they give."
EXAMPLES = [
    (
        "maths.py",
        'def double(x):\n    """Twice x."""\n    return 2 * x\n',
        [("double(2)", "4"), ("double(0)", "0"), ("double(5)", "10")],
    ),
    (
        "words.py",
        'def greet(name):\n    """A greeting."""\n    return "Hello " + name\n',
        [("greet('Ann')", "'Hello Ann'"), ("greet('Bob')", "'Hello Bob'"), ("greet('')", "'Hello '")],
    ),
]


def question(name, code):
    return f"File {name}:\n```python\n{code}```\nThree test cases for {name}, as JSON."


draft = json.load(sys.stdin)
target = draft["variables"]["target_file"]
code = next(file["text"] for file in draft["context"] if file["path"] == target)
# The documentation of the file itself would only distract.
code = code[code.index("def ") :]

messages = []
for name, example, cases in EXAMPLES:
    answer = {"tests": [{"call": call, "result": result} for call, result in cases]}
    messages.append({"role": "user", "content": question(name, example)})
    messages.append({"role": "assistant", "content": json.dumps(answer)})
messages.append({"role": "user", "content": question(draft["variables"]["target_name"], code)})
json.dump({"system": SYSTEM, "messages": messages, "context": []}, sys.stdout)
