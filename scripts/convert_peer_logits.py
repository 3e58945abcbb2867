#!/usr/bin/env python3
"""Turns an archive of reference logits (numpy .npz) into a safetensors file that the tests read.

usage: convert_peer_logits.py logits.npz OUT.safetensors [--without TYPE]...
Run once, when the peer files change. Every array keeps its name (TYPE/exact, TYPE/llamacpp_last) and is
stored as float32.
"""
import argparse
import json
import struct

import numpy as np


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive")
    parser.add_argument("out")
    parser.add_argument("--without", action="append", default=[], help="leave this file type out")
    args = parser.parse_args()

    arrays = np.load(args.archive)
    header, blobs, offset = {}, [], 0
    for name in sorted(arrays.files):
        if name.split("/")[0] in args.without:
            continue
        data = np.ascontiguousarray(arrays[name], dtype="<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(arrays[name].shape), "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
        blobs.append(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(args.out, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))
    print(f"{args.out}: {len(header)} arrays, {offset} bytes")


main()
