"""Damaged model folders through `GLCICModel.from_pretrained`, and foreign checkpoints through `glcic convert`."""

import functools
import io
import json
import os
import pickle
import warnings
import zipfile
from pathlib import Path
from random import Random

import numpy as np
import torch
from safetensors.torch import save

from glcic_hub.model import GLCICModel
from tests.convert import foreign, torch7_writer
from tests.fills import filled
from tests.hostile.commands import deadline, is_one_sentence, run
from tests.hostile.limits import memory_limit
from tests.hostile.mutations import VALUES, damaged, damaged_json, damaged_safetensors

CONFIG = {"base_channels": 2, "mean": [0.5, 0.25, 1.0], "sample_size": 64, "max_hole_size": 32}
MODEL_FILES = {"README.md", "config.json", "model.safetensors"}


@functools.cache
def small_weights() -> dict[str, torch.Tensor]:
    """Of the smallest network there is."""
    torch.manual_seed(0)
    return GLCICModel(**CONFIG).state_dict()


def model_case(rng: Random, folder: Path) -> str:
    """A model folder with a damaged configuration, damaged weights, or both: it is loaded and works, or is refused."""
    data, config = save(small_weights()), json.dumps(CONFIG).encode()
    what = rng.choice(("weights", "weights", "config", "both"))
    if what != "config":
        data = (damaged_safetensors if rng.random() < 0.7 else lambda *a: damaged(*a, [data]))(rng, data)
    if what != "weights":
        config = damaged_config(rng, config)
    (folder / "model.safetensors").write_bytes(data)
    (folder / "config.json").write_bytes(config)
    try:
        with deadline(), memory_limit(), warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", ".* has settings that this GLCICModel does not know")
            model = GLCICModel.from_pretrained(folder, local_files_only=True)
    except ValueError as error:  # what from_pretrained's documentation names for damage
        assert str(folder) in str(error) and "\n" not in str(error).strip(), error
        return "ValueError"
    assert all(p.dtype == torch.float32 and p.device.type == "cpu" for p in model.parameters())
    assert [tuple(p.shape) for p in model.parameters()] == [tuple(p.shape) for p in GLCICModel(**CONFIG).parameters()]
    assert json.loads(json.dumps(model._hub_mixin_config, allow_nan=False)) == model._hub_mixin_config
    hole = np.zeros((16, 20), bool)
    hole[4:9, 5:12] = True
    with deadline(), memory_limit(), warnings.catch_warnings():
        warnings.simplefilter("error")
        fill = filled(model, np.full((16, 20, 3), 128, np.uint8), hole)
    assert np.isfinite(fill).all() and fill[~hole].max() == 0 and fill.min() >= 0 and fill.max() <= 1
    return "loaded"


def damaged_config(rng: Random, text: bytes) -> bytes:
    """JSON with other values, or bytes that are none; nested deeply, with keys twice, in another encoding."""
    change = rng.randrange(10)
    if change == 0:
        return damaged(rng, text, [text])
    if change == 1:
        return b"[" * 200_000 if rng.random() < 0.5 else b'{"mean":' * 200_000
    if change == 2:
        return text.decode().encode(rng.choice(("utf-16", "utf-8-sig", "utf-32")))
    if change == 3:
        return text[:-1] + b', "sample_size": ' + rng.choice((b"64", b"9" * 5000, b"-0", b"1e999", b"NaN")) + b"}"
    return json.dumps(damaged_json(rng, CONFIG)).encode()


class Code:
    """Says by a folder that it was executed."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple:
        return (os.mkdir, (str(self.path),))


def pth_case(rng: Random, folder: Path) -> str:
    """A PyTorch checkpoint with odd objects, forged sizes or damaged bytes."""
    state = foreign.state_dict(foreign.network(), rng.choice(sorted(foreign.NAMES)))
    trap = folder / "executed"
    way = rng.choice(("objects", "objects", "pickle", "bytes", "none"))
    if way == "objects":
        state = with_odd_objects(rng, state, trap)
    buffer = io.BytesIO()
    try:
        torch.save(state, buffer, _use_new_zipfile_serialization=rng.random() < 0.7)
    except Exception:  # noqa: BLE001 - there are things that torch does not save
        return "not tried: cannot be saved"
    data = buffer.getvalue()
    if way == "pickle":
        data = with_damaged_pickle(rng, data)
    elif way == "bytes":
        data = damaged(rng, data, [data])
    ending = converted(folder, "net.pth", data, "--mean", *map(str, foreign.MEAN), "--approximate")
    assert not trap.exists(), "code in the checkpoint was executed"
    return ending


def with_odd_objects(rng: Random, state: dict, trap: Path) -> object:
    """One tensor of another kind, another name, or the whole inside of something."""
    key, value = rng.choice(list(state.items()))
    odd = rng.choice(
        (
            lambda: value.double() * float("nan"),
            lambda: value.to(torch.complex64),
            lambda: value.to(torch.int64),
            lambda: value.half(),
            lambda: value.bfloat16().mT if value.ndim > 1 else value,
            lambda: value.to("meta"),
            lambda: value.float().to_sparse(),
            lambda: value.float().to(torch.float8_e4m3fn),
            lambda: torch.nn.Parameter(value.float()),
            lambda: value[None],
            lambda: value.flatten(),
            lambda: torch.tensor(1.0).expand(10**6, 10**6),
            lambda: torch.zeros(0),
            lambda: torch.tensor(0.0),
            lambda: value.float() * 1e38 * 10,
            lambda: -value,
            lambda: None,
            lambda: [value],
            lambda: value.numpy(),
            lambda: rng.choice(VALUES),
            lambda: Code(trap),
        )
    )()
    changed = rng.choice(
        (
            lambda: state | {key: odd},
            lambda: state | {key: odd},
            lambda: state | {key: odd},
            lambda: {name: x for name, x in state.items() if name != key},
            lambda: state | {rng.choice((0, None, (), "", "module.x", "disc.x", "\n", "é" * 300)): value},
        )
    )()
    inside_itself: dict = {}
    inside_itself["state_dict"] = inside_itself
    return rng.choice(
        (
            lambda: changed,
            lambda: changed,
            lambda: changed,
            lambda: {"state_dict": changed, "epoch": odd},
            lambda: {f"module.{name}": x for name, x in changed.items()},
            lambda: {"model": {"net": {"network": changed}}},
            lambda: list(changed.values()),
            lambda: inside_itself,
            lambda: Code(trap),
            lambda: {},
        )
    )()


def with_damaged_pickle(rng: Random, data: bytes) -> bytes:
    """The parts of the archive changed, with right checksums; old files, which are no archives, as bytes."""
    if data[:2] != b"PK":
        return damaged(rng, data, [pickle.dumps([])])
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as given, zipfile.ZipFile(buffer, "w") as changed:
        for info in given.infolist():
            content = given.read(info)
            if info.filename.endswith("data.pkl"):
                for _ in range(rng.choice((1, 1, 3))):
                    place = rng.randrange(len(content))
                    number = rng.randbytes(rng.choice((1, 2, 4)))
                    content = content[:place] + number + content[place + len(number) :]
            elif rng.random() < 0.02:
                content = content[: rng.randrange(len(content) + 1)]
            if rng.random() > 0.003:
                changed.writestr(info.filename, content)
    return buffer.getvalue()


@functools.cache
def official_file() -> bytes:
    """As the authors published theirs."""
    return torch7_writer.write(foreign.torch7(foreign.network(), gradients=False))


def t7_case(rng: Random, folder: Path) -> str:
    """A Torch7 file with damaged bytes; now and then without damage, and then it must be converted."""
    data = official_file()
    if rng.random() < 0.1:
        ending = converted(folder, "net.t7", data)
        assert ending == "exit 0"
        return ending
    return converted(folder, "net.t7", damaged(rng, data, [data]))


def converted(folder: Path, name: str, data: bytes, *options: str) -> str:
    """`glcic convert`: a whole model folder that loads, or one sentence and nothing."""
    source, out = folder / name, folder / "out" / "model"
    source.write_bytes(data)
    with memory_limit():
        outcome = run("convert", source, "-o", out, *options)
    assert outcome.printed_in_c == ""
    if outcome.code == 0:
        assert outcome.said == f"{out}\n"
        assert all(line.startswith("glcic convert: ") for line in outcome.complained.splitlines()), outcome.complained
        assert {path.name for path in out.iterdir()} == MODEL_FILES
        assert all(torch.isfinite(value).all() for value in GLCICModel.from_pretrained(out).state_dict().values())
    else:
        assert outcome.code in (1, 2) and outcome.said == "", outcome
        assert is_one_sentence(outcome.complained), outcome.complained
        assert list((folder / "out").iterdir()) == []
    return f"exit {outcome.code}"
