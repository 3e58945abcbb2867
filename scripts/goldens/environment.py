"""The libraries the goldens come from: imported in the right order, their versions, and how results are written.

Import this module before transformers. Used by every other module of this folder.
"""
import importlib.util
import json
import os
import platform
import re
import zlib
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # everything is made here, nothing is downloaded
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch

SOURCE = Path(__file__).resolve().parents[2]
TINY = SOURCE / "models" / "tiny"
OUT = SOURCE / "tests" / "data" / "goldens"


def _declare_torchvision_operators():
    """Lets a torchvision built for another torch be imported.

    transformers' processors import torchvision for its resize, which is plain torch. Its compiled operators are
    never called here, but `import torchvision` registers shape functions for them and fails when a wheel's binary
    does not fit the CPU build of torch. Declaring the names first is enough. Where the binary fits, torchvision
    would declare them itself, so this must only run when it does not.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None:
        raise SystemExit("torchvision is missing: pip install --no-deps torchvision==0.28.0")
    folder = Path(spec.origin).parent
    try:
        for binary in folder.glob("_C*.so"):
            torch.ops.load_library(binary)
        if hasattr(torch.ops.torchvision, "nms"):
            return None
    except (OSError, AttributeError):
        pass
    text = (folder / "_meta_registrations.py").read_text()
    library = torch.library.Library("torchvision", "DEF")
    for name in sorted(set(re.findall(r'(?:register_meta\("|"torchvision::)([a-z_0-9]+)"', text))):
        library.define(f"{name}(Tensor x) -> Tensor")
    return library


_library = _declare_torchvision_operators()  # must stay alive: the declarations go with it

import numpy
import PIL
import tokenizers
import torchvision
import transformers

transformers.logging.set_verbosity_error()
torch.set_num_threads(1)  # the sums, and so the last bits, must not depend on the machine's core count
torch.use_deterministic_algorithms(True)


def versions():
    """What made the goldens; written into every file."""
    return {
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "tokenizers": tokenizers.__version__,
        "numpy": numpy.__version__,
        "pillow": PIL.__version__,
        "python": platform.python_version(),
    }


def write_json(path, header, **lists):
    """One object per line inside the lists: compact, yet a change shows as a changed line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = [f'"{key}": {json.dumps(value)}' for key, value in {"versions": versions(), **header}.items()]
    for key, items in lists.items():
        lines = ",\n".join(json.dumps(item, separators=(",", ":")) for item in items)
        fields.append(f'"{key}": [\n{lines}\n]')
    path.write_text("{\n" + ",\n".join(fields) + "\n}\n", encoding="utf-8")


def crc32(array):
    """zlib's CRC-32 of the array's bytes in memory order, as eight hex digits."""
    return f"{zlib.crc32(numpy.ascontiguousarray(array).tobytes()):08x}"
