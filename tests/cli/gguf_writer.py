"""Writes a GGUF of Gemma 4's text model with random weights: the tiny preset's shapes, by code of its own that shares
nothing with `lapidary synth`. For reference_test.py; needs numpy."""

import struct

import numpy as np

F32, F16, Q4_0, Q8_0, Q6_K = 0, 1, 2, 8, 14
BLOCK = {F32: (1, 4), F16: (1, 2), Q4_0: (32, 18), Q8_0: (32, 34), Q6_K: (256, 210)}  # values, bytes
UINT32, INT32, FLOAT, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
HIDDEN, FEED_FORWARD, HEADS, LAYERS, VOCAB, WINDOW = 256, 768, 4, 12, 1024, 64
KV_HEADS, HEAD_SIZE = {True: 2, False: 1}, {True: 64, False: 128}  # by whether the layer slides
SLIDING = [i % 6 != 5 for i in range(LAYERS)]


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def scalar(kind, value):
    if kind == STRING:
        return string(value)
    return struct.pack({UINT32: "<I", INT32: "<i", FLOAT: "<f", BOOL: "<?"}[kind], value)


def field(name, kind, value):
    if isinstance(value, list):
        return (string(name) + struct.pack("<IIQ", ARRAY, kind, len(value)) +
                b"".join(scalar(kind, item) for item in value))
    return string(name) + struct.pack("<I", kind) + scalar(kind, value)


def fields():
    names = {
        "context_length": 4096, "embedding_length": HIDDEN, "block_count": LAYERS, "feed_forward_length": FEED_FORWARD,
        "attention.head_count": HEADS, "attention.key_length": HEAD_SIZE[False],
        "attention.value_length": HEAD_SIZE[False], "attention.key_length_swa": HEAD_SIZE[True],
        "attention.value_length_swa": HEAD_SIZE[True], "attention.sliding_window": WINDOW,
        "attention.shared_kv_layers": 0, "embedding_length_per_layer_input": 0,
        "rope.dimension_count": HEAD_SIZE[False], "rope.dimension_count_swa": HEAD_SIZE[True], "vocab_size": VOCAB}
    floats = {"attention.layer_norm_rms_epsilon": 1e-6, "rope.freq_base": 1e6, "rope.freq_base_swa": 1e4,
              "final_logit_softcapping": 30.0}
    # A SentencePiece vocabulary that stands for one: specials, 256 bytes, made-up pieces.
    pieces = ["<pad>", "<eos>", "<bos>", "<unk>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    pieces += [f"\u2581w{i}" for i in range(VOCAB - len(pieces))]
    return [field("general.architecture", STRING, "gemma4"), field("general.name", STRING, "random weights"),
            field("general.alignment", UINT32, 32),
            *(field("gemma4." + name, UINT32, value) for name, value in names.items()),
            *(field("gemma4." + name, FLOAT, value) for name, value in floats.items()),
            field("gemma4.attention.head_count_kv", INT32, [KV_HEADS[sliding] for sliding in SLIDING]),
            field("gemma4.attention.sliding_window_pattern", BOOL, SLIDING),
            field("tokenizer.ggml.model", STRING, "llama"), field("tokenizer.ggml.tokens", STRING, pieces),
            field("tokenizer.ggml.scores", FLOAT, [-float(i) for i in range(VOCAB)]),
            field("tokenizer.ggml.token_type", INT32, [3, 3, 3, 2] + [6] * 256 + [1] * (VOCAB - 260)),
            field("tokenizer.ggml.bos_token_id", UINT32, 2), field("tokenizer.ggml.eos_token_id", UINT32, 1),
            field("tokenizer.ggml.padding_token_id", UINT32, 0), field("tokenizer.ggml.unknown_token_id", UINT32, 3)]


def tensors(matrix, embedding):
    """(name, extents, type) of all of them; extents with the row length first, as the format has them."""
    yield "token_embd.weight", (HIDDEN, VOCAB), embedding
    yield "output_norm.weight", (HIDDEN,), F32
    yield "rope_freqs.weight", (HEAD_SIZE[False] // 2,), F32
    for i, sliding in enumerate(SLIDING):
        size, kv = HEAD_SIZE[sliding], KV_HEADS[sliding]
        shapes = {"attn_norm": (HIDDEN,), "post_attention_norm": (HIDDEN,), "ffn_norm": (HIDDEN,),
                  "post_ffw_norm": (HIDDEN,), "attn_q_norm": (size,), "attn_k_norm": (size,),
                  "layer_output_scale": (1,), "attn_q": (HIDDEN, size * HEADS), "attn_k": (HIDDEN, size * kv),
                  "attn_output": (size * HEADS, HIDDEN), "ffn_gate": (HIDDEN, FEED_FORWARD),
                  "ffn_up": (HIDDEN, FEED_FORWARD), "ffn_down": (FEED_FORWARD, HIDDEN)}
        if sliding:  # the others take their keys as values
            shapes["attn_v"] = (HIDDEN, size * kv)
        for name, extents in shapes.items():
            yield f"blk.{i}.{name}.weight", extents, F32 if len(extents) == 1 else matrix


def scales(random, count, deviation):
    return (deviation * (0.8 + 0.4 * random.random(count))).astype("<f2").view(np.uint8).reshape(count, 2)


def blocks(random, kind, values, deviation):
    """Random blocks of a type; their values have about the given standard deviation."""
    count = values // BLOCK[kind][0]
    if kind == F16:
        return (random.standard_normal(count) * deviation).astype("<f2").tobytes()
    data = np.empty((count, BLOCK[kind][1]), np.uint8)
    if kind == Q4_0:
        data[:, :2] = scales(random, count, deviation / 4.6)
        low, high = ((random.integers(0, 9, (count, 16)) + random.integers(0, 8, (count, 16))).clip(0, 15)
                     for _ in range(2))  # the sum of two dice: a mean near 8, the format's zero
        data[:, 2:] = low | high << 4
    elif kind == Q8_0:
        data[:, :2] = scales(random, count, deviation / 73)
        data[:, 2:] = random.integers(-127, 128, (count, 32)).astype(np.int8).view(np.uint8)
    elif kind == Q6_K:
        data[:, :192] = random.integers(0, 256, (count, 192))
        data[:, 192:208] = random.integers(20, 60, (count, 16))
        data[:, 208:] = np.full(count, deviation / 18.5 / 40, "<f2").view(np.uint8).reshape(count, 2)
    return data.tobytes()


def single_values(random, name, count):
    if name.startswith("rope_freqs"):  # a divisor: 1 lets a pair rotate, 1e30 stops it
        return np.where(np.arange(count) < count // 4, 1.0, 1e30)
    if "layer_output_scale" in name:
        return np.full(count, 0.5)
    return 1 + 0.05 * random.standard_normal(count)


def write_gguf(path, kind, deviation):
    """kind: q4_0 (with an embedding in q6_k), q8_0 or f16; deviation: that of the weights."""
    matrix = {"q4_0": Q4_0, "q8_0": Q8_0, "f16": F16}[kind]
    random = np.random.default_rng(7)
    table, bodies, offset = [], [], 0
    for name, extents, type_ in tensors(matrix, Q6_K if matrix == Q4_0 else matrix):
        count = int(np.prod(extents))
        body = (single_values(random, name, count).astype("<f4").tobytes() if type_ == F32
                else blocks(random, type_, count, deviation))
        table.append(string(name) + struct.pack("<I", len(extents)) + struct.pack(f"<{len(extents)}Q", *extents) +
                     struct.pack("<IQ", type_, offset))
        bodies.append(body + b"\0" * (-len(body) % 32))
        offset += len(bodies[-1])
    known = fields()
    head = struct.pack("<IIQQ", 0x46554747, 3, len(table), len(known)) + b"".join(known) + b"".join(table)
    path.write_bytes(head + b"\0" * (-len(head) % 32) + b"".join(bodies))
