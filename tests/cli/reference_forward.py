"""The forward pass of Gemma 4's text model in numpy, for reference_test.py: written apart from the program, from the
model's description alone, to be read beside it. Not fast.

Num("f64") computes everything in double precision, Num("f32") in single. Weights stand as in Hugging Face
checkpoints: W[out, in], y = x @ W.T."""

import math

import numpy as np


class Cfg:
    """The configuration of the text model; every field must be given."""

    FIELDS = ("hidden", "inter", "n_layers", "n_heads", "n_kv", "n_kv_global", "hd", "ghd", "window", "vocab", "eps",
              "softcap", "theta_s", "theta_g", "partial", "period")

    def __init__(self, **fields):
        assert sorted(fields) == sorted(self.FIELDS), fields
        self.__dict__.update(fields)

    def is_global(self, i):
        return (i + 1) % self.period == 0

    def dims(self, i):
        """Query heads, KV heads and head size of layer i."""
        if self.is_global(i):
            return self.n_heads, self.n_kv_global, self.ghd
        return self.n_heads, self.n_kv, self.hd


def to_bf16(x):
    """Rounded to bfloat16, ties to even, kept as float32. Finite values only."""
    x = np.ascontiguousarray(x, dtype=np.float32)
    u = x.view(np.uint32).astype(np.uint64)
    u = (u + 0x7FFF + ((u >> 16) & 1)) & 0xFFFF0000
    return u.astype(np.uint32).view(np.float32).reshape(x.shape)


class Num:
    """The arithmetic: one type for everything. Tests derive from it to model roundings."""

    def __init__(self, mode):
        self.dt = {"f64": np.float64, "f32": np.float32}[mode]

    def r(self, x):
        return np.asarray(x, dtype=self.dt)

    def lin(self, x, w):
        return self.r(x) @ self.r(w).T

    def rms(self, x, w, eps):
        """The weight multiplies as it is, not as 1 + w."""
        x = self.r(x)
        y = x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + self.dt(eps))
        return y if w is None else y * self.r(w)

    def gelu_tanh(self, x):
        c = self.dt(math.sqrt(2.0 / math.pi))
        return self.dt(0.5) * x * (self.dt(1) + np.tanh(c * (x + self.dt(0.044715) * x * x * x)))


def inv_freq_sliding(c):
    """All pairs of a head rotate."""
    return c.theta_s ** (-2.0 * np.arange(c.hd // 2, dtype=np.float64) / c.hd)


def inv_freq_global(c):
    """Only the first pairs rotate, but the exponent's denominator is the whole head."""
    f = c.theta_g ** (-2.0 * np.arange(c.ghd // 2, dtype=np.float64) / c.ghd)
    f[int(c.partial * c.ghd // 2):] = 0.0
    return f


def rope(num, x, pos, inv_freq):
    """x [T, heads, d]; the pairs are (j, j + d/2)."""
    angle = num.r(pos)[:, None] * num.r(inv_freq)[None, :]
    cos, sin = np.cos(angle)[:, None, :], np.sin(angle)[:, None, :]
    a, b = np.split(x, 2, axis=-1)
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)


class RingKV:
    """The cache of one layer: the slot is the position modulo the capacity, masks go by stored positions."""

    def __init__(self, cap, nkv, d, dt):
        self.cap = cap
        self.k, self.v = np.zeros((cap, nkv, d), dt), np.zeros((cap, nkv, d), dt)
        self.pos = np.full(cap, -1, np.int64)

    def append(self, pos, k, v):
        slots = np.asarray(pos) % self.cap
        assert len(set(slots.tolist())) == len(slots), "chunk longer than the ring"
        self.k[slots], self.v[slots], self.pos[slots] = k, v, pos

    def view(self):
        used = np.nonzero(self.pos >= 0)[0]
        order = used[np.argsort(self.pos[used])]
        return self.k[order], self.v[order], self.pos[order]


class Cache:
    """slack: the longest chunk that is ever appended."""

    def __init__(self, c, num, ctx=4096, slack=16):
        self.n = 0
        self.layers = []
        for i in range(c.n_layers):
            _, nkv, d = c.dims(i)
            self.layers.append(RingKV(ctx if c.is_global(i) else min(ctx, c.window - 1 + slack), nkv, d, num.dt))


def allowed(c, is_global, qpos, kpos):
    """Which keys [Tk] a query [Tq] sees: its past and itself, of which a sliding layer keeps `window`."""
    q, k = np.asarray(qpos)[:, None], np.asarray(kpos)[None, :]
    return (k <= q) if is_global else (k <= q) & (k > q - c.window)


def attend(num, q, k, v, mask):
    """q [Tq, H, d], k and v [Tk, Hkv, d]; the scale is 1; query head h reads KV head h // (H / Hkv)."""
    group = q.shape[1] // k.shape[1]
    out = np.zeros(q.shape, num.dt)
    for h in range(q.shape[1]):
        s = num.r(q[:, h]) @ num.r(k[:, h // group]).T
        s = np.where(mask, s, num.dt(-np.inf))
        e = np.exp(s - s.max(axis=-1, keepdims=True))
        out[:, h] = (e / e.sum(axis=-1, keepdims=True)) @ num.r(v[:, h // group])
    return out


def run_layers(c, num, weights, x, pos, cache):
    """x [T, hidden] -> final-normed hidden [T, hidden]; keys and values go into the cache."""
    frequencies = {False: inv_freq_sliding(c), True: inv_freq_global(c)}
    T = x.shape[0]
    for i, L in enumerate(weights["layers"]):
        is_global = c.is_global(i)
        nq, nkv, d = c.dims(i)
        h = num.rms(x, L["in"], c.eps)
        q = num.lin(h, L["q"]).reshape(T, nq, d)
        k = num.lin(h, L["k"]).reshape(T, nkv, d)
        v = num.lin(h, L["v"]).reshape(T, nkv, d) if "v" in L else k  # values are the raw keys then
        q = rope(num, num.rms(q, L["q_norm"], c.eps), pos, frequencies[is_global])
        k = rope(num, num.rms(k, L["k_norm"], c.eps), pos, frequencies[is_global])
        cache.layers[i].append(pos, k, num.rms(v, None, c.eps))
        keys, values, positions = cache.layers[i].view()
        h = attend(num, q, keys, values, allowed(c, is_global, pos, positions)).reshape(T, nq * d)
        x = x + num.rms(num.lin(h, L["o"]), L["post_attn"], c.eps)
        h = num.rms(x, L["pre_ff"], c.eps)
        h = num.lin(num.gelu_tanh(num.lin(h, L["gate"])) * num.lin(h, L["up"]), L["down"])
        x = (x + num.rms(h, L["post_ff"], c.eps)) * num.dt(L["layer_scalar"])
    return num.rms(x, weights["norm"], c.eps)


def forward(c, num, weights, cache, tokens):
    """Logits [T, vocab] after the soft cap, in the arithmetic's type; the cache grows by T positions."""
    x = num.r(weights["embed"][np.asarray(tokens)]) * num.dt(math.sqrt(c.hidden))
    pos = np.arange(cache.n, cache.n + len(tokens))
    logits = num.lin(run_layers(c, num, weights, x, pos, cache), weights["embed"])
    cache.n += len(tokens)
    return num.dt(c.softcap) * np.tanh(logits / num.dt(c.softcap))
