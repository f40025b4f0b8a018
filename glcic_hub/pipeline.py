"""GLCICPipeline: images and masks in, completed images out, in diffusers' conventions.

Importing this module makes diffusers know the pipeline and its component; `import glcic_hub` arranges for that.
"""

import functools
import inspect
import os
import sys
import warnings
from collections.abc import Callable, MutableMapping
from numbers import Integral
from pathlib import Path

import diffusers
import numpy as np
import torch
from diffusers.image_processor import PipelineImageInput
from diffusers.pipelines.pipeline_utils import DiffusionPipeline, ImagePipelineOutput
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError

from glcic_hub import images, masks
from glcic_hub.bar import share_bar
from glcic_hub.deep import LOWER_BYTES
from glcic_hub.filling.completer import ReadyCompleter
from glcic_hub.filling.fill import fill
from glcic_hub.filling.options import FillOptions, takes_fill_options
from glcic_hub.loading import PIPELINE_COMPONENT, asked_for
from glcic_hub.model import GLCICModel, embedded_models

HUB_ARGUMENTS = {"revision", "cache_dir", "force_download", "local_files_only", "token"}
LOADING_ARGUMENTS = set(inspect.signature(asked_for).parameters)
MODEL_ARGUMENTS = {*HUB_ARGUMENTS, *LOADING_ARGUMENTS, "variant"}


class GLCICPipeline(DiffusionPipeline):
    """Completes images under masks; the size stays, and known pixels are kept bit for bit.

    The generic methods (saving, moving to a device, the progress bar) are those of `DiffusionPipeline`.

    Args:
        completion_network: the model that fills the holes.
    """

    model_cpu_offload_seq = PIPELINE_COMPONENT
    # Sequential offloading empties modules until they are called; ours is read, to fold it.
    _exclude_from_cpu_offload = [PIPELINE_COMPONENT]

    def __init__(self, completion_network: GLCICModel):
        super().__init__()
        _refuse_other_models(completion_network)
        self.register_modules(completion_network=completion_network)
        self._ready_completer = ReadyCompleter()

    def __setattr__(self, name: str, value: object) -> None:
        if name == PIPELINE_COMPONENT:
            _refuse_other_models(value)
        super().__setattr__(name, value)

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike | None = None, **kwargs
    ) -> "GLCICPipeline":
        """Load a pipeline: the embedded default, an embedded model by its name, a folder or a Hub repository.

        Args:
            pretrained_model_name_or_path: without it, the default model that comes with the package. A folder or
                repository may hold a pipeline (`model_index.json`) or only a `GLCICModel`.
            **kwargs: as in `GLCICModel.from_pretrained`: `dtype`, `device_map`, `variant`, `revision` and so on; or
                `completion_network`, a model that is loaded already. For a folder or repository with a pipeline
                also those of `DiffusionPipeline.from_pretrained`.

        Raises:
            TypeError: an argument is unknown to a bare or embedded model; nothing has been loaded.
            The errors of `GLCICModel.from_pretrained`; the weights are loaded strictly.
        """
        name = pretrained_model_name_or_path
        asked_for(**{key: kwargs[key] for key in LOADING_ARGUMENTS & kwargs.keys()})  # before anything is looked for
        hub_arguments = {key: kwargs[key] for key in HUB_ARGUMENTS & kwargs.keys()}
        model_arguments = {key: kwargs.pop(key) for key in MODEL_ARGUMENTS & kwargs.keys()}
        is_pipeline = name is not None and _holds_pipeline(name, hub_arguments)
        if not is_pipeline and (unknown := kwargs.keys() - {PIPELINE_COMPONENT}):
            raise TypeError(f"{', '.join(sorted(unknown))}: not an argument for loading a bare or embedded model")
        if PIPELINE_COMPONENT not in kwargs:
            subfolder = PIPELINE_COMPONENT if is_pipeline else None
            kwargs[PIPELINE_COMPONENT] = GLCICModel.from_pretrained(name, subfolder=subfolder, **model_arguments)
        if not is_pipeline:
            return cls(kwargs[PIPELINE_COMPONENT])
        # What remains to be loaded has no weights; asking for low memory all the same, diffusers wants accelerate.
        return super().from_pretrained(name, low_cpu_mem_usage=False, **hub_arguments, **kwargs)

    def enable_group_offload(
        self, *arguments: object, offload_to_disk_path: str | None = None, **options: object
    ) -> None:
        """Offload as `DiffusionPipeline` does, but not to a disk, because folding needs the whole model.

        Raises:
            ValueError: `offload_to_disk_path` is given.
        """
        if offload_to_disk_path is not None:
            raise ValueError(
                "offload_to_disk_path: this pipeline needs its whole model in memory; offload it to the CPU instead"
            )
        super().enable_group_offload(*arguments, **options)

    @torch.no_grad()
    @takes_fill_options
    def __call__(
        self,
        image: PipelineImageInput,
        mask_image: PipelineImageInput,
        height: int | None = None,
        width: int | None = None,
        generator: torch.Generator | list[torch.Generator] | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        **options,
    ) -> ImagePipelineOutput | tuple:
        """Fill the white parts of the masks.

        Args:
            image: an image, a list of images (of any sizes), or a batch. PIL images of any common mode (EXIF
                rotation respected), arrays (H, W, C) or (B, H, W, C), tensors (C, H, W) or (B, C, H, W); uint8, or
                floats in [0, 1]. What lies under the mask has no influence on the result.
            mask_image: the same kinds; white (1, True) = fill, black = keep. One for each image, or one for all;
                of the image's size, upright as the image is displayed. A UserWarning reports a doubtful mask.
            height, width: resize images and masks to this size first; by default nothing is resized.
            generator: decides the random search for patches of the photo (`texture`), one for all images or a list
                with one for each; by default `attempt` does, and the same call gives the same fill.
            output_type: "pil", "np" (B, H, W, 3) or "pt" (B, 3, H, W), floats in [0, 1]; for images of different
                sizes the latter two are lists. "pil" keeps mode, alpha, EXIF and ICC profile.
            return_dict: False returns a plain tuple.
            **options: those of `FillOptions`.

        Returns:
            `ImagePipelineOutput` whose `images` are the completed images, or `(images,)`.

        Raises:
            ValueError, TypeError, OSError: an argument cannot be used; the message says which and why.
        """
        # 1. Read and check everything before any work is done
        if output_type not in images.OUTPUT_TYPES:
            raise ValueError(f"output_type must be one of {', '.join(images.OUTPUT_TYPES)}; got {output_type!r}")
        options = FillOptions(**options)
        if (height is None) != (width is None):
            raise ValueError(f"give both height and width, or neither; got height={height}, width={width}")
        if height is not None and not (_is_whole(height, 1) and _is_whole(width, 1)):
            raise ValueError(f"height and width must be whole numbers of pixels, at least 1; got {height} and {width}")
        pictures = images.read_all(image)
        bool_masks = masks.read_all(mask_image, [picture.size for picture in pictures])
        _refuse_whole_masks(bool_masks)
        generators = generator if isinstance(generator, list) else [generator] * len(pictures)
        for one in generators:
            if not (one is None or isinstance(one, torch.Generator)):
                raise ValueError(f"generator must be a torch.Generator, or a list of them; got {one!r}")
        if len(generators) != len(pictures):
            raise ValueError(
                f"got {len(generators)} generators for {len(pictures)} images; give one for each, or a single one"
            )
        if height is not None:
            pictures = [picture.resized(height, width, mask) for picture, mask in zip(pictures, bool_masks)]
            bool_masks = [masks.resized(mask, height, width) for mask in bool_masks]
            _refuse_whole_masks(bool_masks)

        # 2. Complete picture by picture: a batch gives exactly what its single pictures give
        completer = self._ready_completer.of(self.completion_network, self._execution_device)
        jobs = list(zip(pictures, bool_masks, generators))
        results = []
        try:
            for picture, mask, of_picture in self.progress_bar(jobs) if len(jobs) > 1 else jobs:
                with share_bar(**self._bar_options(len(jobs))) as show:
                    filled = fill(completer, picture.samples, mask, options, of_picture, show, picture.hidden)
                result = picture.completed(*filled, output_type)
                if output_type == "pil":  # whoever changes it by Pillow would change the upper bytes alone
                    result.info.pop(LOWER_BYTES, None)
                results.append(result)
        finally:
            self.maybe_free_model_hooks()

        # 3. Batches where the sizes allow it
        if output_type != "pil" and len({(result.shape, result.dtype) for result in results}) == 1:
            results = np.stack(results) if output_type == "np" else torch.stack(results)
        return ImagePipelineOutput(images=results) if return_dict else (results,)

    def _bar_options(self, count: int) -> dict:
        """Those of `set_progress_bar_config`; among several images, which have a bar, the single ones have none."""
        return getattr(self, "_progress_bar_config", {}) | ({"disable": True} if count > 1 else {})


def _refuse_other_models(component: object) -> None:
    model = getattr(component, "_orig_mod", component)  # what torch.compile was given
    # By its name: without the package, diffusers makes the pipeline and the model from two files of code.
    if GLCICModel.__name__ not in (base.__name__ for base in type(model).__mro__):
        raise TypeError(f"{PIPELINE_COMPONENT} must be a {GLCICModel.__name__}; got a {type(model).__name__}")


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, Integral) and int(value) >= least


def _refuse_whole_masks(bool_masks: list[np.ndarray]) -> None:
    for index, mask in enumerate(bool_masks):
        if mask.all():
            raise ValueError(
                f"the mask of image {index} covers the whole image: nothing is left to complete it from; "
                "keep part of the mask black"
            )


def _holds_pipeline(name: str | os.PathLike, hub_arguments: dict) -> bool:
    """Whether a folder or repository has a `model_index.json`; without one it can only be a bare model."""
    if Path(name).is_dir():
        return (Path(name) / DiffusionPipeline.config_name).is_file()
    if str(name) in embedded_models():
        return False
    try:
        hf_hub_download(str(name), DiffusionPipeline.config_name, **hub_arguments)
    except EntryNotFoundError:
        return False
    return True


def register_with_diffusers(just_loaded: str = "") -> None:
    """Enter the pipeline and its component where diffusers looks for them, as far as its modules are loaded.

    What this diffusers does not have is skipped with a warning.

    Args:
        just_loaded: name of a module of diffusers that is complete, though Python still calls it unfinished.
    """
    diffusers.GLCICPipeline = GLCICPipeline  # DiffusionPipeline.from_pretrained looks for the class there
    methods = ["save_pretrained", "from_pretrained"]
    _enter("pipeline_loading_utils", "LOADABLE_CLASSES", "glcic_hub", {"GLCICModel": methods})
    _enter("pipeline_loading_utils", "ALL_IMPORTABLE_CLASSES", "GLCICModel", methods)
    name = "diffusers.pipelines.auto_pipeline"  # not imported here: it imports all pipelines that there are
    if name == just_loaded or name in sys.modules and not sys.modules[name].__spec__._initializing:
        _enter("auto_pipeline", "AUTO_INPAINT_PIPELINES_MAPPING", "glcic", GLCICPipeline)
    pipeline_utils = sys.modules["diffusers.pipelines.pipeline_utils"]
    load = getattr(pipeline_utils, "load_sub_model", None)
    if load is None:
        _warn_of_missing("pipeline_utils.load_sub_model")
    elif not hasattr(load, "__wrapped__"):
        pipeline_utils.load_sub_model = _telling_our_component(load)


def _enter(module: str, table: str, key: str, value: object) -> None:
    entries = getattr(sys.modules.get(f"diffusers.pipelines.{module}"), table, None)
    if isinstance(entries, MutableMapping):
        entries[key] = value
    else:
        _warn_of_missing(f"{module}.{table}")


def _warn_of_missing(what: str) -> None:
    warnings.warn(
        f"diffusers {diffusers.__version__} does not have {what} in the form that glcic_hub knows; its own "
        "classes may not find GLCICPipeline, so load with GLCICPipeline.from_pretrained",
        stacklevel=2,
    )


def _telling_our_component(load: Callable) -> Callable:
    """diffusers tells the wanted variant and device to its own models alone; here ours is told as well."""

    @functools.wraps(load)
    def load_sub_model(**arguments: object) -> object:
        if (arguments["library_name"], arguments["class_name"]) != ("glcic_hub", "GLCICModel"):
            return load(**arguments)
        return GLCICModel.from_pretrained(
            arguments["cached_folder"],
            subfolder=arguments["name"],
            variant=arguments["model_variants"].get(arguments["name"]),
            dtype=arguments.get("dtype", arguments.get("torch_dtype")),
            device_map=arguments["device_map"],
        )

    return load_sub_model


register_with_diffusers()
