"""GLCICModel: the completion network as a Hub model and as the component of a diffusers pipeline.

Needs torch, huggingface_hub and safetensors; never imports diffusers.
"""

import hashlib
import inspect
import json
import operator
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from huggingface_hub import PyTorchModelHubMixin, hf_hub_download
from huggingface_hub.constants import CONFIG_NAME
from huggingface_hub.errors import EntryNotFoundError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from glcic_hub.atomic import write_whole
from glcic_hub.loading import PIPELINE_COMPONENT, asked_for
from glcic_hub.network import CompletionNetwork, complete_batch

PRETRAINED_DIR = Path(__file__).parent / "pretrained"
DEFAULT_NAME = "glcic-scenes"
MAX_SAMPLE_SIZE = 10_000
"""Pixels; far more than anybody trains at. Surroundings of this order are looked at around each hole."""

BLENDS = ("poisson", "fading", None)
"""The ways to treat the seam; `filling.seam.BLENDS` has them."""

TEXTURES = ("photo", None)
"""Where the texture of a fill comes from."""

PAPER_URL = "https://doi.org/10.1145/3072959.3073659"
CARD_TEMPLATE = """---
{{ card_data }}
---

A completion network (inpainting) of [Globally and Locally Consistent Image Completion]({{ paper_url }}), saved by
`glcic_hub`. It fills the white part of a mask and keeps every other pixel as it is:

```python
from glcic_hub import GLCICPipeline

pipe = GLCICPipeline.from_pretrained("this repository or folder")
completed = pipe(image, mask_image).images[0]
```
"""


class GLCICModel(
    nn.Module,
    PyTorchModelHubMixin,
    library_name="glcic_hub",
    pipeline_tag="image-to-image",
    tags=["inpainting", "image-inpainting", "glcic"],
    # not as paper_url=...: the huggingface_hub that IOPaint pins does not know it
    model_card_template=CARD_TEMPLATE.replace("{{ paper_url }}", PAPER_URL),
):
    """The completion network with what its use requires: the mean colour and the sizes it was trained for.

    The arguments are the model's `config.json`.

    Args:
        base_channels: channels of the first layer; scales every layer (the paper: 64).
        mean: mean colour of the training images, RGB in [0, 1]; subtracted from the input.
        sample_size: side in pixels of the training crops.
        max_hole_size: size in pixels of the largest holes that the network sees; larger ones are reduced to this size
            for it. Usually the longest side of the holes in training, or a little less.
        blend: the default way to blend a fill into the known pixels: "poisson", "fading" or None.
        texture: the default source of a fill's texture: "photo", patches of the photo, or None, the network alone.
            Patches spoil what appears only once in a photo, such as the eyes of a face.

    Attributes:
        mean: float (3,), the argument as a tensor.
        compute_dtype: type that the pipeline computes in; if None, float32 weights are run in bfloat16 or float16 where
            the device supports it. `from_pretrained(dtype=...)` sets it.
        compile_arguments: those of `compile`; None before it is called.

    Raises:
        ValueError: an argument is out of its range.
    """

    mean: torch.Tensor
    compute_dtype: torch.dtype | None = None
    compile_arguments: dict | None = None
    _variant: str | None = None  # of the save that is under way

    def __init__(
        self,
        base_channels: int = 64,
        mean: tuple[float, float, float] = (0.5, 0.5, 0.5),
        sample_size: int = 256,
        max_hole_size: int = 128,
        blend: str | None = "poisson",
        texture: str | None = "photo",
    ):
        super().__init__()
        if len(mean) != 3 or not all(0 <= value <= 1 for value in mean):
            raise ValueError(f"mean must be three numbers from 0 to 1 (RGB); got {mean}")
        sample_size, max_hole_size = operator.index(sample_size), operator.index(max_hole_size)
        if sample_size > MAX_SAMPLE_SIZE:
            raise ValueError(f"sample_size must be at most {MAX_SAMPLE_SIZE} pixels; got {sample_size}")
        if not 0 < max_hole_size <= sample_size:
            raise ValueError(f"max_hole_size must be from 1 to sample_size={sample_size}; got {max_hole_size}")
        for name, value, choices in (("blend", blend, BLENDS), ("texture", texture, TEXTURES)):
            if value not in choices:
                raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}; got {value!r}")
        self.sample_size = sample_size
        self.max_hole_size = max_hole_size
        self.blend = blend
        self.texture = texture
        self.network = CompletionNetwork(base_channels)
        # What the mixin writes to config.json: by itself it silently drops what JSON cannot hold (NumPy numbers). What
        # it has found already are the arguments of a subclass.
        self._hub_mixin_config = {
            **(self._hub_mixin_config or {}),
            "base_channels": int(base_channels),
            "mean": [float(value) for value in mean],
            "sample_size": sample_size,
            "max_hole_size": max_hole_size,
            "blend": blend,
            "texture": texture,
        }
        # in the config, therefore not in the weights file
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32), persistent=False)

    def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Complete a batch of images of one size.

        Args:
            image: (B, 3, H, W), RGB in [0, 1], any H and W; values under the mask are ignored.
            mask: (B, 1, H, W), 1 = fill, 0 = known, in the dtype of `image`.

        Returns:
            (B, 3, H, W): RGB in [0, 1]; to be used under the mask only.
        """
        return complete_batch(self.network, image, mask, self.mean)

    def compile(self, **arguments) -> None:
        """Compile the network with `torch.compile`, for `forward` and for pipelines that hold this model.

        Each size of image and hole is compiled on first use, which takes up to half a minute on a CPU. This pays off
        for many images of one size under one mask. After eight sizes in a process, counted over all models, torch runs
        others uncompiled; with `fullgraph=True` it raises an error.

        Args:
            **arguments: of `torch.compile`, for example `mode="reduce-overhead"` on a GPU.
        """
        # Sizes as constants: reckoned with as symbols, they keep the compiler busy for minutes, or make it fail.
        self.compile_arguments = {"dynamic": False, **arguments}
        super().compile(**self.compile_arguments)

    @property
    def dtype(self) -> torch.dtype:
        """The type of the weights; diffusers pipelines ask their components for it."""
        return self.network.output.weight.dtype

    @property
    def device(self) -> torch.device:
        """Where the weights are; diffusers pipelines ask their components for it."""
        return self.network.output.weight.device

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike | None = None,
        *,
        subfolder: str | None = None,
        variant: str | None = None,
        dtype: torch.dtype | str | dict | None = None,
        torch_dtype: torch.dtype | str | dict | None = None,
        device_map: str | int | torch.device | dict | None = None,
        map_location: str | int | torch.device | None = None,
        strict: bool | None = None,
        use_safetensors: bool | None = None,
        low_cpu_mem_usage: bool | None = None,
        proxies: dict | None = None,
        revision: str | None = None,
        cache_dir: str | Path | None = None,
        force_download: bool = False,
        local_files_only: bool = False,
        token: str | bool | None = None,
        **config,
    ) -> "GLCICModel":
        """Load a model strictly: from the package, a folder or a Hub repository. Only safetensors are ever read.

        Args:
            pretrained_model_name_or_path: a model that is embedded in the package (`"glcic-scenes"`), a folder, or a
                Hub repository id. Default: the embedded default model. A folder takes precedence over a repository of
                the same name.
            subfolder: where the model is in the folder or repository. Default: at the top, or where a pipeline keeps
                it.
            variant: read `model.<variant>.safetensors`, for example `"fp16"`. Default: `model.safetensors`, or the
                only variant in a folder.
            dtype: type of the loaded weights and of the computation (`compute_dtype`): a torch type or its name, or a
                dict with one for `"completion_network"`. "auto" is the type in the file. Default: float32 weights,
                whatever the type in the file, computed in the fastest type that the device supports.
            torch_dtype: the older name of `dtype`, which diffusers uses for components.
            device_map: where to put the model, for example `"cuda"`; `"auto"` and `"balanced"`: on an accelerator if
                there is one. Default: the CPU.
            map_location: huggingface_hub's name for `device_map`.
            strict, use_safetensors: only True, which is always the case.
            low_cpu_mem_usage: changes nothing; loading never holds the weights twice.
            proxies: only empty; huggingface_hub reads them from the environment.
            revision, cache_dir, force_download, local_files_only, token: as in `huggingface_hub`.
            **config: override single settings of `config.json`.

        Returns:
            The model, in eval mode. A warning names settings of a later version that this one does not know.

        Raises:
            TypeError: an argument is neither one of these nor a setting; nothing has been read.
            FileNotFoundError: the folder does not contain the file.
            ValueError: an argument cannot be honoured, the settings do not make a model, the weights file is damaged,
                or a tensor is missing, left over or of another shape (named).
            huggingface_hub.errors.HfHubHTTPError: the repository or file does not exist or may not be read.
        """
        known = _settings_of(cls)
        if unknown := config.keys() - known:
            names = ", ".join(sorted(unknown))
            raise TypeError(f"{names}: not an argument for loading a {cls.__name__}, nor one of its settings")
        dtype, device = asked_for(
            dtype, torch_dtype, device_map, map_location, strict, use_safetensors, low_cpu_mem_usage, proxies
        )
        config_path, weights = find_files(
            pretrained_model_name_or_path,
            subfolder=subfolder,
            variant=variant,
            revision=revision,
            cache_dir=cache_dir,
            force_download=force_download,
            local_files_only=local_files_only,
            token=token,
        )
        stored = _read_config(config_path)
        if "config" in known:  # huggingface_hub writes what such an argument holds beside the others
            stored = {"config": stored, **stored}
        try:
            settings = {key: _decoded(cls, key, value) for key, value in stored.items() if key in known}
            with torch.device("meta"):  # no memory and no time for values that the file replaces
                model = cls(**settings | config)
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            given = f" with {', '.join(config)} as given" if config else ""
            what = str(error).partition("\n")[0]  # torch adds where in its source it happened
            raise ValueError(f"the settings of {config_path}{given} do not make a {cls.__name__}: {what}") from error
        if later := stored.keys() - known - model._hub_mixin_config.keys():
            names = ", ".join(sorted(later))
            warnings.warn(f"{config_path} has settings that this {cls.__name__} does not know: {names}", stacklevel=2)
        model.compute_dtype = None if dtype == "auto" else dtype
        _load_strictly(model, weights, None if dtype == "auto" else dtype or torch.float32)
        model.mean = torch.tensor(model._hub_mixin_config["mean"], dtype=model.dtype)
        return model.eval().to(device)

    def save_pretrained(
        self,
        save_directory: str | Path,
        *,
        variant: str | None = None,
        safe_serialization: bool = True,
        **hub_kwargs,
    ) -> str | None:
        """Write `config.json`, `model[.<variant>].safetensors` and a model card; see `PyTorchModelHubMixin`.

        Args:
            save_directory: the folder; it is created if it does not exist.
            variant: part of the name of the weights file. The weights are written in their own type.
            safe_serialization: only True; named because diffusers passes it on to components.
            **hub_kwargs: `push_to_hub`, `repo_id` and so on, as in `PyTorchModelHubMixin.save_pretrained`.

        Raises:
            ValueError: `safe_serialization` is False.
        """
        if not safe_serialization:
            raise ValueError("safe_serialization=False asks for pickle files; this model is saved as safetensors only")
        config_path = Path(save_directory) / CONFIG_NAME
        former_config = config_path.read_bytes() if config_path.is_file() else None
        try:
            with self._saving_as(variant):
                return super().save_pretrained(save_directory, **hub_kwargs)
        except BaseException:
            if former_config is not None and not config_path.exists():  # the mixin deletes it first
                config_path.write_bytes(former_config)
            raise

    def push_to_hub(self, repo_id: str, *, variant: str | None = None, **hub_kwargs) -> str:
        """Upload what `save_pretrained` writes; see `PyTorchModelHubMixin`.

        Args:
            repo_id: the repository; it is created if it does not exist.
            variant: as in `save_pretrained`.
            **hub_kwargs: `private`, `token` and so on, as in `PyTorchModelHubMixin.push_to_hub`.
        """
        with self._saving_as(variant):
            return super().push_to_hub(repo_id, **hub_kwargs)

    @contextmanager
    def _saving_as(self, variant: str | None) -> Iterator[None]:
        """Hold the variant for `_save_pretrained`, also where the mixin saves once more in order to push."""
        outer_variant, self._variant = self._variant, variant or self._variant
        try:
            yield
        finally:
            self._variant = outer_variant

    def _save_pretrained(self, save_directory: Path) -> None:
        state = {key: value.detach().cpu().contiguous() for key, value in self.state_dict().items()}
        write_whole(save_directory / weights_name(self._variant), save(state, {"format": "pt"}))


def weights_name(variant: str | None) -> str:
    """Name of the weights file: `model.safetensors`, or `model.fp16.safetensors` for the variant "fp16"."""
    return f"model.{variant}.safetensors" if variant else "model.safetensors"


def embedded_models() -> list[str]:
    """Names of the models that come with the package; each loads by `from_pretrained(name)`."""
    return sorted(path.parent.name for path in PRETRAINED_DIR.glob("*/config.json"))


def find_files(
    name: str | os.PathLike | None, *, subfolder: str | None = None, variant: str | None = None, **hub_arguments
) -> tuple[Path, Path]:
    """Find, and download where needed, the `config.json` and the weights file of a model.

    Takes the arguments of `GLCICModel.from_pretrained`; the weights are not read, but those of a download are
    compared with the digest that the Hub announced.

    Raises:
        OSError, ValueError: as of `from_pretrained`; a download is not what the Hub announced.
    """
    folder = PRETRAINED_DIR / DEFAULT_NAME if name is None else _local_folder(name)

    def path_of(file: str, subfolder: str | None) -> Path:
        if folder is None:
            return Path(hf_hub_download(str(name), file, subfolder=subfolder, **hub_arguments))
        path = folder / (subfolder or "") / file
        return path if path.is_file() else _only_variant(path, variant)

    try:
        config = path_of(CONFIG_NAME, subfolder)
    except (FileNotFoundError, EntryNotFoundError) as error:
        if subfolder is not None:
            raise
        subfolder = PIPELINE_COMPONENT
        try:
            config = path_of(CONFIG_NAME, subfolder)
        except (FileNotFoundError, EntryNotFoundError):
            raise error from None
    weights = path_of(weights_name(variant), subfolder)
    if folder is None:
        _check_download(weights)
    return config, weights


def _only_variant(path: Path, variant: str | None) -> Path:
    """The weights that are there in place of `model.safetensors`, if nothing else can be meant."""
    variants = sorted(path.parent.glob("model.*safetensors")) if path.suffix == ".safetensors" else []
    if len(variants) == 1 and variant is None:
        return variants[0]
    if variants:
        names = ", ".join(other.name for other in variants)
        raise FileNotFoundError(f"{path} does not exist; there is {names}: choose one with variant, or leave it out")
    raise FileNotFoundError(f"{path} does not exist: {path.parent} is not a folder with a GLCICModel")


def _local_folder(name: str | os.PathLike) -> Path | None:
    """The folder of a local or embedded model, None for a Hub repository id."""
    if Path(name).is_dir():
        return Path(name)
    if str(name) in embedded_models():
        return PRETRAINED_DIR / str(name)
    return None


def _read_config(path: Path) -> dict:
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        return {key: value for key, value in settings.items() if not key.startswith("_")}
    except (ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is not a JSON object with the model's settings: {error}") from error


def _settings_of(cls: type[GLCICModel]) -> set[str]:
    """Names of the arguments that make a model of the class; those of its bases where it passes others on."""
    names = set()
    for base in cls.__mro__:
        if "__init__" in vars(base):
            parameters = list(inspect.signature(base.__init__).parameters.values())[1:]
            names |= {one.name for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}
            if not any(one.kind == one.VAR_KEYWORD for one in parameters):
                break
    return names


def _decoded(cls: type[GLCICModel], name: str, value: object) -> object:
    """A stored setting as the class takes it: the mixin knows the types that a subclass has coders for."""
    parameter = cls._hub_mixin_init_parameters.get(name)
    if parameter is None or parameter.annotation is parameter.empty:
        return value
    return cls._decode_arg(parameter.annotation, value)


def _check_download(path: Path) -> None:
    """Compare a large file in the Hub's cache with the SHA-256 that it is named by: safetensors has no checksum."""
    digest = path.resolve().name
    if re.fullmatch("[0-9a-f]{64}", digest) and hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        raise ValueError(f"{path} is damaged; load it again with force_download=True")


def _load_strictly(model: nn.Module, path: Path, dtype: torch.dtype | None) -> None:
    """Give the model every tensor of the file, in this type or its own, or raise without having changed the model."""
    try:
        state = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is not a complete safetensors file ({error}); download or copy it again") from error
    wanted = model.state_dict()
    problems = [f"missing {key}" for key in wanted if key not in state]
    problems += [f"unexpected {key}" for key in state if key not in wanted]
    problems += [
        f"{key} is {given}, wanted {fitting}"
        for key, value in wanted.items()
        if key in state and (given := _kind(state[key])) != (fitting := _kind(value))
    ]
    if problems:
        raise ValueError(f"{path} does not fit {type(model).__name__}: {'; '.join(problems)}")
    # Copied once, in any case: safetensors' own tensors are the file's pages.
    copied = {key: value.to(dtype if value.is_floating_point() else None, copy=True) for key, value in state.items()}
    for key, value in copied.items():
        if not value.isfinite().all() or (key.endswith("running_var") and (value < 0).any()):
            raise ValueError(f"{path} is damaged: {key} has numbers that are not finite, or negative variances")
    model.load_state_dict(copied, assign=True)


def _kind(tensor: torch.Tensor) -> str:
    """Shape, and whether it is of floating point numbers, for comparing and for messages."""
    return f"{tuple(tensor.shape)}" + ("" if tensor.is_floating_point() else f" of {tensor.dtype}")
