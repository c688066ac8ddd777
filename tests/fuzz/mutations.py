"""One small change of a file, made to what the file is built of: a field, an offset, a token, a member, an instruction.

Bytes changed blindly rarely get past a reader's first check. Here the bytes say what they are (`_FORMS`), are taken
apart, changed in one place and put together again, archives with all that is in them. `words`: texts that mean
something to the reader, such as the names of its layers, which chance would never find.
"""

from __future__ import annotations

import copy
import io
import json
import pickletools
import re
import struct
import warnings
import zipfile
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import numpy as np

Words = Sequence[str]

ZIP, TFLITE = b"PK\x03\x04", b"TFL3"
_NUMBERS = (0, 1, 2, 3, 4, 7, 16, 127, 128, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**60, 2**63 - 1)
_JSON_VALUES = (None, True, -1, 0.5, 1e308, "", [], {}, [[]], *_NUMBERS)
_LARGEST = 1 << 20  # bytes that an archive may unpack to
_DEEPEST = 40  # messages in messages
_PLAIN = 0.08  # share of the changes that do not look at what the bytes are


def mutate(data: bytes, random: Random, words: Words) -> bytes:
    """The bytes with one to four changes."""
    for _ in range(random.choice((1, 1, 2, 4))):
        data = _changed(data, random, words)
    return data


def _changed(data: bytes, random: Random, words: Words) -> bytes:
    if random.random() > _PLAIN:
        for applies, change in _FORMS:
            if applies(data):
                try:
                    return change(data, random, words)
                except Exception:  # not what it seemed, or no longer
                    break
    return _in_binary(data, random, words)


def _in_binary(data: bytes, random: Random, words: Words) -> bytes:
    """A number overwritten, most often where one may lie; a part repeated, moved or cut out."""
    changed = bytearray(data)
    if not data:
        return random.randbytes(8)
    size = random.choice((1, 1, 2, 4, 4, 8))
    at = random.randrange(len(data)) // size * size
    kind = random.random()
    if kind < 0.45:
        changed[at : at + size] = _number(random, size)[: len(data) - at]
    elif kind < 0.6:
        changed[at] ^= 1 << random.randrange(8)
    elif kind < 0.8:  # a number from elsewhere: another offset, another length
        source = random.randrange(len(data)) // size * size
        changed[at : at + size] = data[source : source + size].ljust(size, b"\0")[: len(data) - at]
    else:
        start, end = sorted(random.randrange(len(data) + 1) for _ in range(2))
        end = min(end, start + 64)
        changed[start:end] = random.choice((b"", data[start:end] * 2, random.randbytes(end - start)))
    return bytes(changed)


def _number(random: Random, size: int) -> bytes:
    return (random.choice(_NUMBERS) * random.choice((1, 1, 1, -1)) & (1 << 8 * size) - 1).to_bytes(size, "little")


def _in_zip(data: bytes, random: Random, words: Words) -> bytes:
    """One member changed, left out, repeated or called otherwise. Members are stored as they are."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > _LARGEST:
            return _in_binary(data, random, words)
        members = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    index = random.randrange(len(members))
    name, content = members[index]
    kind = random.random()
    if kind < 0.9:
        members[index] = (name, _changed(content, random, words))
    elif kind < 0.94:
        del members[index]
    elif kind < 0.97:
        members.append((random.choice(members)[0], content))
    else:
        members[index] = (random.choice((f"../{name}", f"/{name}", f"{name}.json", f"a/{name}", *words[:50])), content)
    return packed(members)


def packed(members: Sequence[tuple[str, bytes]]) -> bytes:
    """A zip archive, nothing in it compressed; names may be repeated."""
    stream = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(stream, "w") as archive:
        warnings.simplefilter("ignore")  # of names that are there already
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content)
    return stream.getvalue()


def _in_json(data: bytes, random: Random, words: Words) -> bytes:
    return json.dumps(_in_tree(json.loads(data), random, words)).encode()


def _in_safetensors(data: bytes, random: Random, words: Words) -> bytes:
    (length,) = struct.unpack_from("<Q", data)
    header = _in_json(data[8 : 8 + length], random, words)
    return struct.pack("<Q", len(header)) + header + data[8 + length :]


def _in_tree(tree: Any, random: Random, words: Words) -> Any:
    """Plain data with one value of any depth changed, left out or repeated."""
    root = [tree]
    places = [(root, 0)]
    for holder, key in places:  # grows while it is walked
        value = holder[key]
        if isinstance(value, (dict, list)) and len(places) < 100_000:
            places += [(value, inner) for inner in (value if isinstance(value, dict) else range(len(value)))]
    holder, key = random.choice(places)
    other, elsewhere = random.choice(places)
    kind = random.random()
    if kind < 0.2 and holder is not root:
        del holder[key]
    elif kind < 0.3 and isinstance(holder, list):
        holder.insert(key, holder[key])
    elif kind < 0.5:
        holder[key] = copy.deepcopy(other[elsewhere])
    elif isinstance(holder[key], str):
        holder[key] = random.choice((*words, "", "\ud800", holder[key] * 2))
    else:
        holder[key] = random.choice(_JSON_VALUES)
    return root[0]


def _in_tflite(data: bytes, random: Random, words: Words) -> bytes:
    """A field of any table. What does not fit its type cannot be written: the offsets themselves are `_in_binary`'s."""
    from onnxray.importers.tflite.flatbuffer import FlatBuffer  # only when it is instrumented: see `harness.main`
    from onnxray.importers.tflite.schema import SCHEMA, UNIONS
    from tflite_writer import encode

    tables = FlatBuffer(data, SCHEMA, UNIONS).root("Model")
    return encode("Model", _in_tree(_plain(tables), random, words), TFLITE)


def _plain(value: Any) -> Any:
    """Vectors of numbers as lists; those of bytes stay arrays."""
    if isinstance(value, np.ndarray):
        return value if value.dtype == np.uint8 else value.tolist()
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return {key: _plain(entry) for key, entry in value.items()} if isinstance(value, dict) else value


_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|[\w.+-]+|\s+|.')


def _in_text(data: bytes, random: Random, words: Words) -> bytes:
    """One token changed, or a few left out, repeated or copied from elsewhere."""
    tokens = _TOKEN.findall(data.decode("utf-8", "replace"))
    at = random.randrange(len(tokens))
    token, kind = tokens[at], random.random()
    if kind < 0.15:
        del tokens[at : at + random.choice((1, 1, 3, 20))]
    elif kind < 0.3:
        start = random.randrange(len(tokens))
        tokens[at:at] = tokens[start : start + random.choice((1, 3, 20, 60))]
    elif token.startswith('"'):
        tokens[at] = random.choice((f'"{random.choice(words)}"', '""', random.choice(tokens)))
    elif token[:1] in "-0123456789":
        tokens[at] = str(random.choice((*_NUMBERS, -1, 0.5, "nan", "inf", "1e40", "x")))
    else:
        tokens[at] = random.choice((random.choice(tokens), random.choice(words)))
    return "".join(tokens).encode("utf-8", "replace")


Field = list[Any]  # number, wire type, content: an int, bytes, or a list of fields


def _in_message(data: bytes, random: Random, words: Words) -> bytes:
    """Protobuf: one field of any message changed, left out, repeated, renumbered or taken from elsewhere."""
    root = _fields(data, 0)
    assert root
    places = [(root, index) for index in range(len(root))]
    for fields, index in places:  # grows while it is walked
        inner = fields[index][2]
        if isinstance(inner, list):
            places += [(inner, place) for place in range(len(inner))]
    fields, index = random.choice(places)
    other, elsewhere = random.choice(places)
    field, kind = fields[index], random.random()
    if kind < 0.15:
        del fields[index]
    elif kind < 0.25:
        fields.append(field)
    elif kind < 0.4:
        fields[index] = other[elsewhere]
    elif kind < 0.45:
        fields[index] = [random.randrange(1, 20), *field[1:]]
    else:
        fields[index] = [field[0], field[1], _content(field[1], field[2], random, words)]
    return _encoded(root)


def _content(wire: int, content: Any, random: Random, words: Words) -> Any:
    if wire == 0:
        return random.choice((*_NUMBERS, 2**64 - 1, content + 1))
    if wire in (1, 5):
        return _number(random, len(content))
    if isinstance(content, bytes) and random.random() < 0.5:
        return random.choice(words).encode()
    return _in_binary(_encoded(content) if isinstance(content, list) else content, random, words)


def _fields(data: bytes, depth: int) -> list[Field] | None:
    """The fields of a message; None where the bytes are no message."""
    fields, at = [], 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        size = {0: 0, 1: 8, 5: 4}.get(wire)
        if not 0 < number < 1 << 16 or at > len(data) or (size is None and wire != 2):
            return None
        if wire != 1 and wire != 5:
            value, at = _varint(data, at)
            size = value if wire == 2 else 0
        content: Any = value if wire == 0 else data[at : at + size]
        at += size
        if at > len(data):
            return None
        inner = _fields(content, depth + 1) if wire == 2 and content and depth < _DEEPEST else None
        fields.append([number, wire, content if inner is None else inner])
    return fields


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """(number, first byte behind it), beyond the end where it is cut off."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            break
        value |= (data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return value & (1 << 64) - 1, at
    return 0, len(data) + 1


def _encoded(fields: list[Field]) -> bytes:
    parts = []
    for number, wire, content in fields:
        parts.append(varint(number << 3 | wire))
        content = _encoded(content) if isinstance(content, list) else content
        parts.append(varint(content) if wire == 0 else content if wire != 2 else varint(len(content)) + content)
    return b"".join(parts)


def varint(number: int) -> bytes:
    """A number as protobuf writes it."""
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes((*out, number))


def _in_pickle(data: bytes, random: Random, words: Words) -> bytes:
    """Pickles in a row: one instruction left out, repeated, taken from elsewhere or changed."""
    stream, steps = io.BytesIO(data), []
    while stream.tell() < len(data):
        start = stream.tell()
        try:
            places = [place for _, _, place in pickletools.genops(stream)]
        except Exception:
            stream.seek(start)
            break
        steps += [data[at:end] for at, end in zip(places, [*places[1:], stream.tell()], strict=True)]
    assert steps
    at, kind = random.randrange(len(steps)), random.random()
    if kind < 0.25:
        del steps[at]
    elif kind < 0.5:
        steps[at:at] = [random.choice(steps)] * random.choice((1, 1, 3, 300))
    elif kind < 0.7:
        word = random.choice(words)
        steps.insert(at, random.choice((f"c{word}\n{word}\n".encode(), b"R", b"0", b"2", b"(", b"\x93", b"b", b".")))
    else:
        steps[at] = _in_binary(steps[at], random, words)
    return b"".join(steps) + stream.read()


def _is_zip(data: bytes) -> bool:
    return data.startswith(ZIP)


def _is_json(data: bytes) -> bool:
    return data[:1] in (b"{", b"[")


def _is_safetensors(data: bytes) -> bool:
    return data[8:9] == b"{" and data[4:8] == bytes(4)


def _is_pickle(data: bytes) -> bool:
    return data[:1] == b"\x80" and data[1:2] < b"\x06"


def _is_text(data: bytes) -> bool:
    return len(data) > 0 and min(data) > 8


def _is_tflite(data: bytes) -> bool:
    return data[4:8] == TFLITE


def _is_message(data: bytes) -> bool:
    return not data.startswith(b"\x89HDF")


_FORMS: tuple[tuple[Callable[[bytes], bool], Callable[[bytes, Random, Words], bytes]], ...] = (
    (_is_zip, _in_zip),
    (_is_json, _in_json),
    (_is_safetensors, _in_safetensors),
    (_is_pickle, _in_pickle),
    (_is_text, _in_text),
    (_is_tflite, _in_tflite),
    (_is_message, _in_message),
)
