"""`lapidary logits` on synthetic models against a reference in double precision.

Three sides that share no code: the program; a numpy reader of the files (gguf_reader.py); and the forward pass of
reference_forward.py. Needs numpy (Debian: python3-numpy; with libopenblas0-serial, without which it takes a minute
more)."""

import contextlib
import json
import os
import pathlib
import sys

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # ctest runs tests side by side; on busy cores numpy's threads only wait
try:
    import numpy as np
except ModuleNotFoundError:  # a Python of the user's own comes first in PATH; Debian's package serves this one
    if os.path.realpath(sys.executable) == os.path.realpath("/usr/bin/python3"):
        raise
    os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])

import reference_forward as ref  # noqa: E402  (numpy's threads are set above)
from gguf_reader import read_gguf, read_safetensors  # noqa: E402
from gguf_writer import write_gguf  # noqa: E402
from support import CliTest, main  # noqa: E402

WINDOW = 64  # of the tiny preset
TOKENS = [int(id) for id in np.random.default_rng(3).integers(0, 1024, WINDOW + 36)]

# --precise: f32 throughout; the tolerance is a share of the range of the logits. A sum of 768 terms is off by about
# sqrt(768) unit roundoffs of 6e-8, at most 1.7e-6 of its value. What 12 layers make of an error in every matmul input
# the int8 runs below show: from 2^-7.5 to some 20 % of the logits' deviation, a factor of 40. The deviation is an
# eighth of the range, and the largest of 100,000 values is 4.5 times the typical one:
# 1.7e-6 * 40 / 8 * 4.5 = 4e-5. A window off by one, another rope base or a hundredth of a scale show at 1e-2, one
# weight block with swapped halves at 2e-3, a soft cap of 29.9 at 2e-4.
PRECISE_TOLERANCE = 1e-4

# Without --precise the cache holds f16, and quantised weights get int8 inputs: a block of 256 values x becomes s q
# with s = max |x| / 127 (all these formats are multiplied as panels), so that each value is off by at most s / 2 = max |x| / 254 (2^-7 of a typical block's deviation: its maximum is some 2.4 of
# them, and rounding has deviation s / sqrt(12)). What 12 layers make of that
# depends on the weights, so the reference measures it: it runs with each value moved by a random amount in
# [-s / 2, s / 2] and with an f16 cache. The program's rounding is one more draw of the same size, so its RMS error
# must be that of the draws. Few tokens dominate an RMS, single draws scatter by 1.3 either way (hence 2), and one in ten falls
# over an edge where a hard attention picks another position (hence the median).
# Below half of it the program would not be rounding at all.
ROUNDING_FACTOR = 2.0
DRAWS = 5

# Where the CPU multiplies bf16, matrices in bf16 take inputs rounded to it, and, where it does so faster than in f32, attention
# rounds queries, keys, values and weights (2^-9, eight times the rounding of the f16 cache). The model rounds the same values,
# all but the weights.
CPU = pathlib.Path("/proc/cpuinfo").read_text()
BF16_CPU = "avx512_bf16" in CPU
BF16_ATTENTION = BF16_CPU and "GenuineIntel" not in CPU


class RoundedInputs(ref.Num):
    """Double precision, but matmul inputs carry the error of a rounding to int8, modelled as noise."""

    def __init__(self, seed):
        super().__init__("f64")
        self.random = np.random.default_rng(seed)

    def lin(self, x, w):
        blocks = np.reshape(x, (len(x), -1, 256))
        step = np.abs(blocks).max(axis=-1, keepdims=True) / 127
        return super().lin((blocks + step * self.random.uniform(-0.5, 0.5, blocks.shape)).reshape(x.shape), w)


class Bf16Inputs(ref.Num):
    """Double precision, but matmul inputs are rounded to bf16."""

    def __init__(self):
        super().__init__("f64")

    def lin(self, x, w):
        return super().lin(ref.to_bf16(x), w)


class Bf16Attention:
    """While it is entered, the reference's attention rounds its operands to bf16."""

    def __enter__(self):
        self.attend = ref.attend
        ref.attend = lambda num, q, k, v, *rest: self.attend(num, *(ref.to_bf16(x) for x in (q, k, v)), *rest)

    def __exit__(self, *_):
        ref.attend = self.attend


def rms(x):
    return float(np.sqrt(np.mean(np.square(x))))


def soften_attention(path):
    """Halves the weights of the norms of queries and keys in the file, exactly: one less in the exponent.

    gguf_writer.py's norm weights are about 1, so q . k of d = 64 or 128 dimensions has a deviation of sqrt(d) = 8 to 11,
    and softmax all but picks one position. Which one hangs on the last bits: errors grow threefold in each layer,
    and after 12 layers f32 and f64 have nothing in common. With a deviation of 2 to 3 attention is as soft as in
    trained models."""
    data = bytearray(path.read_bytes())
    changed = 0
    for name, tensor in read_gguf(bytes(data))[1].items():
        if name.endswith(("q_norm.weight", "k_norm.weight")):
            tensor.bytes(data).view("<u4")[:] -= 1 << 23
            changed += 1
    assert changed == 24, changed
    path.write_bytes(data)


# The reference's names of a layer's tensors -> GGUF's, Hugging Face's.
LAYER_NAMES = {
    "in": ("attn_norm", "input_layernorm"), "post_attn": ("post_attention_norm", "post_attention_layernorm"),
    "pre_ff": ("ffn_norm", "pre_feedforward_layernorm"), "post_ff": ("post_ffw_norm", "post_feedforward_layernorm"),
    "q": ("attn_q", "self_attn.q_proj"), "k": ("attn_k", "self_attn.k_proj"), "v": ("attn_v", "self_attn.v_proj"),
    "o": ("attn_output", "self_attn.o_proj"), "q_norm": ("attn_q_norm", "self_attn.q_norm"),
    "k_norm": ("attn_k_norm", "self_attn.k_norm"), "gate": ("ffn_gate", "mlp.gate_proj"),
    "up": ("ffn_up", "mlp.up_proj"), "down": ("ffn_down", "mlp.down_proj")}


def reference_weights(tensors, data, layers, embed, norm, prefix, column, scalar):
    def value(name):
        return tensors[name].values(data)

    weights = {"embed": value(embed), "norm": value(norm), "layers": []}
    for i in range(layers):
        names = {ours: f"{prefix}{i}.{theirs[column]}.weight" for ours, theirs in LAYER_NAMES.items()}
        layer = {ours: value(name) for ours, name in names.items() if name in tensors}
        weights["layers"].append({**layer, "layer_scalar": value(f"{prefix}{i}.{scalar}")[0]})
    return weights


def gguf_model(path):
    """What the reference needs of the file."""
    data = path.read_bytes()
    keys, tensors = read_gguf(data)
    key = {name.removeprefix("gemma4."): value for name, value in keys.items()}
    sliding, kv_heads = key["attention.sliding_window_pattern"], key["attention.head_count_kv"]
    # A divisor of 1 lets a pair of dimensions rotate, one of 1e30 stops it.
    rotating = float(np.mean(tensors["rope_freqs.weight"].values(data) == 1))
    config = ref.Cfg(
        hidden=key["embedding_length"], inter=key["feed_forward_length"], n_layers=key["block_count"],
        n_heads=key["attention.head_count"], n_kv=kv_heads[0], n_kv_global=kv_heads[-1],
        hd=key["attention.key_length_swa"], ghd=key["attention.key_length"], window=key["attention.sliding_window"],
        vocab=key["vocab_size"], eps=key["attention.layer_norm_rms_epsilon"], softcap=key["final_logit_softcapping"],
        theta_s=key["rope.freq_base_swa"], theta_g=key["rope.freq_base"], partial=rotating,
        period=sliding.index(False) + 1)
    assert [not config.is_global(i) for i in range(config.n_layers)] == sliding
    return config, reference_weights(tensors, data, config.n_layers, "token_embd.weight", "output_norm.weight", "blk.",
                                     0, "layer_output_scale.weight")


def hf_model(folder):
    """The same for a Hugging Face folder of one part."""
    part, = folder.glob("*.safetensors")
    data = part.read_bytes()
    text = json.loads((folder / "config.json").read_text())["text_config"]
    ropes, kinds = text["rope_parameters"], text["layer_types"]
    config = ref.Cfg(
        hidden=text["hidden_size"], inter=text["intermediate_size"], n_layers=text["num_hidden_layers"],
        n_heads=text["num_attention_heads"], n_kv=text["num_key_value_heads"],
        n_kv_global=text["num_global_key_value_heads"], hd=text["head_dim"], ghd=text["global_head_dim"],
        window=text["sliding_window"], vocab=text["vocab_size"], eps=text["rms_norm_eps"],
        softcap=text["final_logit_softcapping"], theta_s=ropes["sliding_attention"]["rope_theta"],
        theta_g=ropes["full_attention"]["rope_theta"], partial=ropes["full_attention"]["partial_rotary_factor"],
        period=kinds.index("full_attention") + 1)
    assert [config.is_global(i) for i in range(config.n_layers)] == [kind == "full_attention" for kind in kinds]
    return config, reference_weights(read_safetensors(data), data, config.n_layers,
                                     "model.language_model.embed_tokens.weight", "model.language_model.norm.weight",
                                     "model.language_model.layers.", 1, "layer_scalar")


def reference_logits(model, num, cache_type=np.float64):
    config, weights = model
    cache = ref.Cache(config, num, slack=len(TOKENS))
    for layer in cache.layers:
        layer.k, layer.v = layer.k.astype(cache_type), layer.v.astype(cache_type)
    return ref.forward(config, num, weights, cache, TOKENS)


class Reference(CliTest):
    def logits(self, path, *options):
        out = self.folder / "logits.f32"
        self.ok("logits", path, "--all", "--tokens", ",".join(map(str, TOKENS)), "--out", out, *options)
        return np.fromfile(out, "<f4").astype(np.float64).reshape(len(TOKENS), -1)

    def check(self, path, model, kind):
        self.assertEqual((model[0].window, model[0].n_layers), (WINDOW, 12))
        exact = reference_logits(model, ref.Num("f64"))
        off = np.abs(self.logits(path, "--precise") - exact).max() / np.ptp(exact)
        self.assertLessEqual(off, PRECISE_TOLERANCE, "share of the range, --precise")

        draws = [ref.Num("f64")]
        if kind.startswith("q"):
            draws = [RoundedInputs(seed) for seed in range(DRAWS)]
        elif kind == "bf16" and BF16_CPU:
            draws = [Bf16Inputs()]
        with Bf16Attention() if BF16_ATTENTION else contextlib.nullcontext():
            expected = np.median([rms(reference_logits(model, draw, np.float16) - exact) for draw in draws])
        error = rms(self.logits(path) - exact)
        print(f"{path.name}: precise {off:.1e} of the range; rounded {error:.1e}, model of it {expected:.1e}",
              file=sys.stderr)
        self.assertLess(expected, 0.25 * rms(exact), "so large that agreement says nothing")
        self.assertLessEqual(error, ROUNDING_FACTOR * expected)
        self.assertGreaterEqual(error, expected / ROUNDING_FACTOR)

    def test_gguf_of_the_program(self):
        for kind in ["q4_0", "q8_0", "q4_k", "q6_k", "f16", "bf16"]:
            with self.subTest(kind=kind):
                path = self.folder / f"{kind}.gguf"
                self.ok("synth", path, "--preset", "tiny", "--type", kind)
                self.check(path, gguf_model(path), kind)

    def test_gguf_of_other_code(self):
        # Weights ten times the program's: logits of 12, where the soft cap bends.
        for kind in ["q4_0", "q8_0", "f16"]:
            with self.subTest(kind=kind):
                path = self.folder / f"other_{kind}.gguf"
                write_gguf(path, kind, 0.2)
                soften_attention(path)
                self.check(path, gguf_model(path), kind)

    def test_hugging_face_folder(self):
        folder = self.folder / "hf"
        self.ok("synth", folder, "--preset", "tiny", "--type", "bf16", "--format", "hf")
        self.check(folder, hf_model(folder), "bf16")


if __name__ == "__main__":
    main()
