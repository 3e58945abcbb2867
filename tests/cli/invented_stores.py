"""Stores of other programs, made up in a home of their own."""

import json
import os

from support import clean_environment

KIND = "application/vnd.ollama.image."


def environment_of(home, **extra):
    """HOME is the home given, and no variable of another program counts."""
    env = clean_environment(HOME=str(home), **extra)
    for name in ("OLLAMA_MODELS", "HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "LLAMA_CACHE"):
        if name not in extra:
            env.pop(name, None)
    return env


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


class Ollama:
    def __init__(self, home):
        self.root, self.count = home / ".ollama" / "models", 0

    def digest(self):
        self.count += 1
        return f"sha256:{self.count:064x}"

    def blob(self, digest):
        return self.root / "blobs" / digest.replace(":", "-")

    def layer(self, kind, content):
        """A layer, with its blob."""
        digest = self.digest()
        put(self.blob(digest), content)
        return {"mediaType": KIND + kind, "digest": digest, "size": len(content)}

    def manifest(self, place, *layers):
        return put(self.root / "manifests" / place, json.dumps({"schemaVersion": 2, "layers": layers}))


def hub_model(home, repo, files, commit="c0ffee"):
    """files: name -> content or path to copy. Returns the snapshot."""
    folder = home / ".cache" / "huggingface" / "hub" / ("models--" + repo.replace("/", "--"))
    put(folder / "refs" / "main", commit)
    snapshot = folder / "snapshots" / commit
    snapshot.mkdir(parents=True)
    for name, content in files.items():
        content = content if isinstance(content, (bytes, str)) else content.read_bytes()
        put(folder / "blobs" / ("blob-" + name), content)
        os.symlink(os.path.join("..", "..", "blobs", "blob-" + name), snapshot / name)
    return snapshot
