"""Reads GGUF and safetensors files into numpy arrays, for reference_test.py.

A second, independent reader: written from the descriptions of the formats, it shares nothing with the program.
It knows what `lapidary synth` and its like write (F32, F16, BF16, Q4_0, Q8_0, Q4_K, Q6_K) and trusts the file."""

import json
import struct
from typing import NamedTuple

import numpy as np

# GGUF's numbers of value types -> struct codes; 8 is a string, 9 an array.
SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9


def half(two_bytes):
    """[n, 2] bytes of f16 -> [n, 1] floats."""
    return np.ascontiguousarray(two_bytes).view("<f2").astype(np.float64)


def nibbles(bytes_):
    """[..., n] bytes -> low halves, high halves."""
    return bytes_ & 15, bytes_ >> 4


def from_bf16(data):
    """bf16 is the upper half of an f32."""
    return (data.view("<u2").astype(np.uint32) << 16).view(np.float32)


def from_q4_0(b):
    """f16 d, 16 bytes: low nibbles are values 0..15, high nibbles 16..31. value = d (q - 8)"""
    low, high = nibbles(b[:, 2:])
    return half(b[:, :2]) * (np.concatenate([low, high], axis=1).astype(np.float64) - 8)


def from_q8_0(b):
    """f16 d, 32 signed bytes. value = d q"""
    return half(b[:, :2]) * b[:, 2:].view(np.int8)


def from_q4_k(b):
    """f16 d and dmin, 12 bytes with a 6-bit scale and a 6-bit minimum for each of 8 groups of 32, 128 bytes of
    nibbles. Bytes 32 p .. 32 p + 31 hold group 2 p (low) and 2 p + 1 (high). value = d scale q - dmin minimum"""
    d, dmin, packed = half(b[:, 0:2]), half(b[:, 2:4]), b[:, 4:16]
    first, second, third = packed[:, 0:4], packed[:, 4:8], packed[:, 8:12]  # low 6 bits of groups 0..3 are plain;
    scale = np.concatenate([first & 63, (third & 15) | (first >> 6 << 4)], axis=1)  # the upper 2 bits belong
    minimum = np.concatenate([second & 63, (third >> 4) | (second >> 6 << 4)], axis=1)  # to groups 4..7
    q = np.stack(nibbles(b[:, 16:].reshape(-1, 4, 32)), axis=2).reshape(-1, 8, 32)
    return (d * scale)[:, :, None] * q - (dmin * minimum)[:, :, None]


def from_q6_k(b):
    """128 bytes of low nibbles, 64 bytes with the upper two bits, 16 signed scales, f16 d; in two halves of 128
    values. In a half, the low nibbles of 64 bytes are values 0..63 and the high ones 64..127; bits 2 c, 2 c + 1 of
    its 32 upper bytes belong to values 32 c .. 32 c + 31. value = d scale (q - 32), a scale for every 16 values"""
    low = np.concatenate(nibbles(b[:, :128].reshape(-1, 2, 64)), axis=2)
    upper = np.concatenate([b[:, 128:192].reshape(-1, 2, 32) >> s & 3 for s in (0, 2, 4, 6)], axis=2)
    q = (low | upper << 4).astype(np.float64).reshape(-1, 16, 16) - 32
    return (half(b[:, 208:]) * b[:, 192:208].view(np.int8))[:, :, None] * q


class Format(NamedTuple):
    values: int     # in a block
    bytes: int      # of a block
    expand: object  # [blocks, bytes] of uint8 -> [blocks, values]


F32, BF16 = Format(1, 4, lambda b: b.view("<f4")), Format(1, 2, from_bf16)
GGUF_FORMATS = {0: F32, 1: Format(1, 2, lambda b: b.view("<f2")), 2: Format(32, 18, from_q4_0),
                8: Format(32, 34, from_q8_0), 12: Format(256, 144, from_q4_k), 14: Format(256, 210, from_q6_k), 30: BF16}


class Tensor(NamedTuple):
    shape: list  # the contiguous extent last
    format: Format
    offset: int  # in the file

    def bytes(self, data):
        """Its part of the file, [blocks, bytes of a block]; writable if data is."""
        blocks = int(np.prod(self.shape)) // self.format.values
        return np.frombuffer(data, np.uint8, blocks * self.format.bytes, self.offset).reshape(blocks, -1)

    def values(self, data):
        return self.format.expand(self.bytes(data)).astype(np.float64).reshape(self.shape)


class Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, code):
        value, = struct.unpack_from("<" + code, self.data, self.at)
        self.at += struct.calcsize("<" + code)
        return value

    def text(self):
        length = self.take("Q")
        self.at += length
        return bytes(self.data[self.at - length:self.at]).decode()

    def value(self, kind):
        if kind == STRING:
            return self.text()
        if kind == ARRAY:
            item, count = self.take("I"), self.take("Q")
            return [self.value(item) for _ in range(count)]
        return self.take(SCALARS[kind])


def read_gguf(data):
    """-> {key: value}, {name: Tensor}"""
    cursor = Cursor(data)
    magic, version, tensor_count, key_count = (cursor.take(code) for code in "IIQQ")
    assert (magic, version) == (0x46554747, 3)
    keys = {}
    for _ in range(key_count):
        name = cursor.text()
        keys[name] = cursor.value(cursor.take("I"))
    found = []
    for _ in range(tensor_count):
        name = cursor.text()
        extents = [cursor.take("Q") for _ in range(cursor.take("I"))]
        found.append((name, extents[::-1], GGUF_FORMATS[cursor.take("I")], cursor.take("Q")))
    alignment = keys.get("general.alignment", 32)
    base = -(-cursor.at // alignment) * alignment
    return keys, {name: Tensor(shape, form, base + offset) for name, shape, form, offset in found}


def read_safetensors(data):
    """-> {name: Tensor}. The file: u64 length of the header, JSON header, values."""
    length, = struct.unpack_from("<Q", data)
    header = json.loads(bytes(data[8:8 + length]))
    header.pop("__metadata__", None)
    return {name: Tensor(entry["shape"], {"BF16": BF16, "F32": F32}[entry["dtype"]],
                         8 + length + entry["data_offsets"][0]) for name, entry in header.items()}
