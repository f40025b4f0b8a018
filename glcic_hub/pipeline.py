"""GLCICPipeline: pictures and masks in, completed pictures out, in diffusers' conventions.

Importing this module makes diffusers know the pipeline and its component; `import glcic_hub` arranges for that.
"""

import os
from numbers import Integral
from pathlib import Path

import diffusers
import numpy as np
import torch
from diffusers import DiffusionPipeline
from diffusers.image_processor import PipelineImageInput
from diffusers.pipelines import auto_pipeline, pipeline_loading_utils
from diffusers.pipelines.pipeline_utils import ImagePipelineOutput
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError

from glcic_hub import images, masks
from glcic_hub.bar import share_bar
from glcic_hub.filling.completer import ReadyCompleter
from glcic_hub.filling.fill import fill
from glcic_hub.filling.options import FillOptions, takes_fill_options
from glcic_hub.model import PIPELINE_COMPONENT, GLCICModel, embedded_models

HUB_ARGUMENTS = ("revision", "cache_dir", "force_download", "local_files_only", "token")
MODEL_ARGUMENTS = (*HUB_ARGUMENTS, "variant", "dtype", "torch_dtype")


class GLCICPipeline(DiffusionPipeline):
    """Completes pictures under masks; known pixels come back bit for bit, at the size that they came in.

    The generic methods (saving, moving to a device, the progress bar) are those of `DiffusionPipeline`.

    Args:
        completion_network: the model that fills the holes.
    """

    model_cpu_offload_seq = PIPELINE_COMPONENT
    # Sequential offloading empties modules until they are called; ours is read, to fold it.
    _exclude_from_cpu_offload = [PIPELINE_COMPONENT]

    def __init__(self, completion_network: GLCICModel):
        super().__init__()
        self.register_modules(completion_network=completion_network)
        self._ready_completer = ReadyCompleter()

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike | None = None, **kwargs
    ) -> "GLCICPipeline":
        """Load a pipeline: the embedded default, an embedded model by its name, a folder or a Hub repository.

        Args:
            pretrained_model_name_or_path: without it, the default model that comes with the package. A folder or
                repository may hold a pipeline (`model_index.json`) or only a `GLCICModel`.
            **kwargs: as in `DiffusionPipeline.from_pretrained`: `dtype`, `variant`, `revision`, `cache_dir`, ...

        Raises:
            TypeError: an argument that a bare or embedded model does not know; nothing has been loaded then.
            The errors of `GLCICModel.from_pretrained`; the weights are loaded strictly.
        """
        name = pretrained_model_name_or_path
        is_pipeline = name is not None and _holds_pipeline(name, {k: kwargs[k] for k in HUB_ARGUMENTS if k in kwargs})
        if not is_pipeline and (unknown := kwargs.keys() - {PIPELINE_COMPONENT, *MODEL_ARGUMENTS}):
            raise TypeError(f"{', '.join(sorted(unknown))}: no argument for loading a bare or embedded model")
        if PIPELINE_COMPONENT not in kwargs:
            model_arguments = {key: kwargs[key] for key in MODEL_ARGUMENTS if key in kwargs}
            subfolder = PIPELINE_COMPONENT if is_pipeline else None
            kwargs[PIPELINE_COMPONENT] = GLCICModel.from_pretrained(name, subfolder=subfolder, **model_arguments)
        if not is_pipeline:
            return cls(kwargs[PIPELINE_COMPONENT])
        kwargs.pop("variant", None)  # it chose the weights above; there is nothing else to choose
        return super().from_pretrained(name, **kwargs)

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
            image: a picture, a list of pictures (of any sizes), or a batch. PIL images of any common mode (EXIF
                rotation respected), arrays (H, W, C) or (B, H, W, C), tensors (C, H, W) or (B, C, H, W); uint8, or
                floats in [0, 1]. What lies under the mask has no influence on the result.
            mask_image: the same kinds; white (1, True) = fill, black = keep. One for each picture, or one for all;
                of the picture's size, upright as the picture is seen. A UserWarning says what is doubtful about one.
            height, width: resize pictures and masks to this size first; without them nothing is resized.
            generator: decides the random search for patches of the photo (`texture`), one for all pictures or a list
                with one for each; without it, the search is always the same.
            output_type: "pil", "np" (B, H, W, 3) or "pt" (B, 3, H, W), floats in [0, 1]; for pictures of different
                sizes the latter two are lists. "pil" gives back mode, alpha, EXIF and ICC profile as they came in.
            return_dict: False gives a plain tuple.
            **options: those of `FillOptions`.

        Returns:
            `ImagePipelineOutput` whose `images` are the completed pictures, or `(images,)`.

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
            raise ValueError(f"height and width must be at least 1, whole numbers of pixels; got {height} and {width}")
        pictures = images.read_all(image)
        bool_masks = masks.read_all(mask_image, [picture.size for picture in pictures])
        _refuse_whole_masks(bool_masks)
        generators = generator if isinstance(generator, list) else [generator] * len(pictures)
        for one in generators:
            if not (one is None or isinstance(one, torch.Generator)):
                raise ValueError(f"generator must be a torch.Generator, or a list of them; got {one!r}")
        if len(generators) != len(pictures):
            raise ValueError(
                f"got {len(generators)} generators for {len(pictures)} pictures; give one for each, or a single one"
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
                results.append(picture.completed(*filled, output_type))
        finally:
            self.maybe_free_model_hooks()

        # 3. Batches where the sizes allow it
        if output_type != "pil" and len({(result.shape, result.dtype) for result in results}) == 1:
            results = np.stack(results) if output_type == "np" else torch.stack(results)
        return ImagePipelineOutput(images=results) if return_dict else (results,)

    def _bar_options(self, count: int) -> dict:
        """Those of `set_progress_bar_config`; among several pictures, which have a bar, the single ones have none."""
        return getattr(self, "_progress_bar_config", {}) | ({"disable": True} if count > 1 else {})


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, Integral) and value >= least


def _refuse_whole_masks(bool_masks: list[np.ndarray]) -> None:
    for index, mask in enumerate(bool_masks):
        if mask.all():
            raise ValueError(
                f"the mask of picture {index} covers all of it: nothing is left to complete it from; "
                "keep a part of it black"
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


# diffusers asks these tables which classes it may save and load as components, and which pipelines do inpainting.
pipeline_loading_utils.LOADABLE_CLASSES["glcic_hub"] = {"GLCICModel": ["save_pretrained", "from_pretrained"]}
pipeline_loading_utils.ALL_IMPORTABLE_CLASSES["GLCICModel"] = ["save_pretrained", "from_pretrained"]
auto_pipeline.AUTO_INPAINT_PIPELINES_MAPPING["glcic"] = GLCICPipeline
diffusers.GLCICPipeline = GLCICPipeline  # DiffusionPipeline.from_pretrained looks for the class there
