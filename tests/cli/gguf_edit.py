"""Takes a GGUF file apart and writes it again with other keys and tensors, for tests of files that others made."""

import struct
from typing import NamedTuple

STRING, ARRAY, U32, F32, BOOL = 8, 9, 4, 6, 7
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
ALIGNMENT = 32


def text(value):
    value = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(value)) + value


def encoded(kind, value):
    """A value with its type in front."""
    form = {STRING: text, U32: lambda v: struct.pack("<I", v), F32: lambda v: struct.pack("<f", v),
            BOOL: lambda v: struct.pack("<?", v)}[kind]
    return struct.pack("<I", kind) + form(value)


def strings_of(value):
    """The elements of an encoded array of strings."""
    kind, element, count = struct.unpack_from("<IIQ", value)
    assert (kind, element) == (ARRAY, STRING)
    found, at = [], 16
    for _ in range(count):
        length, = struct.unpack_from("<Q", value, at)
        found.append(value[at + 8:at + 8 + length])
        at += 8 + length
    return found


class Tensor(NamedTuple):
    extents: list  # the contiguous one first
    kind: int
    data: bytes


class GgufFile:
    """keys: name -> encoded value; tensors: name -> Tensor. Names are bytes."""

    def __init__(self, content):
        self.data, self.at, self.keys, self.tensors = content, 0, {}, {}
        magic, version, tensors, keys = struct.unpack("<4sIQQ", self.take(24))
        assert (magic, version) == (b"GGUF", 3)
        for _ in range(keys):
            name = self.take(self.number("Q"))
            begin = self.at
            self.skip(self.number("I"))
            self.keys[name] = content[begin:self.at]
        places = []
        for _ in range(tensors):
            name = self.take(self.number("Q"))
            extents = [self.number("Q") for _ in range(self.number("I"))]
            places.append((self.number("I"), self.number("Q"), name, extents))
        base = -(-self.at // ALIGNMENT) * ALIGNMENT
        order = sorted(p[1] for p in places) + [len(content) - base]
        for kind, offset, name, extents in places:
            end = order[order.index(offset) + 1]
            self.tensors[name] = Tensor(extents, kind, content[base + offset:base + end])

    def take(self, count):
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, code):
        return struct.unpack("<" + code, self.take(struct.calcsize(code)))[0]

    def skip(self, kind):
        if kind == STRING:
            self.take(self.number("Q"))
        elif kind == ARRAY:
            element, count = self.number("I"), self.number("Q")
            if element in SIZES:
                self.take(SIZES[element] * count)
            else:
                for _ in range(count):
                    self.skip(element)
        else:
            self.take(SIZES[kind])

    def put(self, name, kind, value):
        self.keys[name.encode()] = encoded(kind, value)
        return self

    def build(self):
        head = struct.pack("<4sIQQ", b"GGUF", 3, len(self.tensors), len(self.keys))
        head += b"".join(text(name) + value for name, value in self.keys.items())
        body = b""
        for name, tensor in self.tensors.items():
            head += text(name) + struct.pack("<I", len(tensor.extents))
            head += b"".join(struct.pack("<Q", e) for e in tensor.extents) + struct.pack("<IQ", tensor.kind, len(body))
            body += tensor.data + bytes(-len(tensor.data) % ALIGNMENT)
        return head + bytes(-len(head) % ALIGNMENT) + body
