"""The parts of Caffe2's file format that a network needs, as a table of field numbers."""

from __future__ import annotations

from ..message_table import MessageTable

# Of the form that MessageTable tells.
_MESSAGES: dict[str, str] = {
    "Net": """name 1 string, op 2 Operator*, type 3 string, arg 6 Argument*, external_input 7 string*,
        external_output 8 string*""",
    "Operator": "input 1 string*, output 2 string*, name 3 string, type 4 string, arg 5 Argument*, engine 7 string",
    "Argument": "name 1 string, f 2 float, i 3 int64, s 4 bytes, floats 5 float*, ints 6 int64*, strings 7 bytes*",
}

_TABLE = MessageTable("onnxray.caffe2", _MESSAGES, {})
message_class = _TABLE.message_class  # "Net", "Operator" …
