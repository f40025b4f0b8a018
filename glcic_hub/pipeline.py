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
from glcic_hub.blending import BLENDS
from glcic_hub.completion import TEXTURES, Completer
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
        self._ready: tuple[tuple, list[torch.Tensor], Completer] | None = None

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
            The errors of `GLCICModel.from_pretrained`; the weights are loaded strictly.
        """
        name = pretrained_model_name_or_path
        is_pipeline = name is not None and _holds_pipeline(name, {k: kwargs[k] for k in HUB_ARGUMENTS if k in kwargs})
        if PIPELINE_COMPONENT not in kwargs:
            model_arguments = {key: kwargs[key] for key in MODEL_ARGUMENTS if key in kwargs}
            subfolder = PIPELINE_COMPONENT if is_pipeline else None
            kwargs[PIPELINE_COMPONENT] = GLCICModel.from_pretrained(name, subfolder=subfolder, **model_arguments)
        if not is_pipeline:
            if unknown := kwargs.keys() - {PIPELINE_COMPONENT, *MODEL_ARGUMENTS}:
                raise TypeError(f"{', '.join(sorted(unknown))}: no argument for loading a bare or embedded model")
            return cls(kwargs[PIPELINE_COMPONENT])
        kwargs.pop("variant", None)  # it chose the weights above; there is nothing else to choose
        return super().from_pretrained(name, **kwargs)

    @torch.no_grad()
    def __call__(
        self,
        image: PipelineImageInput,
        mask_image: PipelineImageInput,
        height: int | None = None,
        width: int | None = None,
        padding_mask_crop: int | None = None,
        working_size: int | None = None,
        blend: str | None = "poisson",
        texture: str | None = None,
        generator: torch.Generator | list[torch.Generator] | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
    ) -> ImagePipelineOutput | tuple:
        """Fill the white parts of the masks.

        Args:
            image: a picture, a list of pictures (of any sizes), or a batch. PIL images of any common mode (EXIF
                rotation respected), arrays (H, W, C) or (B, H, W, C), tensors (C, H, W) or (B, C, H, W); uint8, or
                floats in [0, 1]. What lies under the mask has no influence on the result.
            mask_image: the same kinds; white (1, True) = fill, black = keep. One for each picture, or one for all;
                of the picture's size, upright as the picture is seen.
            height, width: resize pictures and masks to this size first; without them nothing is resized.
            padding_mask_crop: pixels of surroundings that the network is shown around each hole. Without it they are
                chosen from the hole's size and the size that the model was trained at.
            working_size: a hole larger than this is shown to the network reduced to this many pixels (between its
                thickness and its side). Without it, that is the model's `max_hole_size`. A large number shows every
                hole at its own size; with a large `padding_mask_crop`, too, the result is that of the network on the
                whole picture, computed on what the hole depends on alone.
            blend: how the fill is made to meet the known pixels: "poisson" shifts all of it smoothly, "feather" its
                outer half, None leaves it as the network gave it.
            texture: "photo" adds fine detail from the known parts of the photo, where the fill would be smooth: grass,
                leaves, grain. It suits nature better than architecture.
            generator: accepted as in other pipelines, one for all pictures or a list with one for each; nothing here is
                random.
            output_type: "pil", "np" (B, H, W, 3) or "pt" (B, 3, H, W), floats in [0, 1]; for pictures of different
                sizes the latter two are lists. "pil" gives back mode, alpha, EXIF and ICC profile as they came in.
            return_dict: False gives a plain tuple.

        Returns:
            `ImagePipelineOutput` whose `images` are the completed pictures, or `(images,)`.

        Raises:
            ValueError, TypeError, OSError: an argument cannot be used; the message says which and why.
        """
        # 1. Read and check everything before any work is done
        if output_type not in images.OUTPUT_TYPES:
            raise ValueError(f"output_type must be one of {', '.join(images.OUTPUT_TYPES)}; got {output_type!r}")
        if padding_mask_crop is not None and not _is_whole(padding_mask_crop, 0):
            raise ValueError(f"padding_mask_crop must be a number of pixels from 0 up; got {padding_mask_crop}")
        if working_size is not None and not _is_whole(working_size, 1):
            raise ValueError(f"working_size must be a number of pixels from 1 up; got {working_size}")
        if not (blend is None or isinstance(blend, str)) or blend not in BLENDS:
            raise ValueError(f"blend must be one of {', '.join(map(repr, BLENDS))}; got {blend!r}")
        if not (texture is None or isinstance(texture, str)) or texture not in TEXTURES:
            raise ValueError(f"texture must be one of {', '.join(map(repr, TEXTURES))}; got {texture!r}")
        if (height is None) != (width is None):
            raise ValueError(f"give both height and width, or neither; got height={height}, width={width}")
        if height is not None and not (_is_whole(height, 1) and _is_whole(width, 1)):
            raise ValueError(f"height and width must be at least 1, whole numbers of pixels; got {height} and {width}")
        pictures = images.read_all(image)
        fill_masks = masks.read_all(mask_image, [picture.size for picture in pictures])
        _refuse_whole_masks(fill_masks)
        generators = generator if isinstance(generator, list) else [generator] * len(pictures)
        for one in generators:
            if not (one is None or isinstance(one, torch.Generator)):
                raise ValueError(f"generator must be a torch.Generator, or a list of them; got {one!r}")
        if len(generators) != len(pictures):
            raise ValueError(
                f"got {len(generators)} generators for {len(pictures)} pictures; give one for each, or a single one"
            )
        if height is not None:
            pictures = [picture.resized(height, width, mask) for picture, mask in zip(pictures, fill_masks)]
            fill_masks = [masks.resized(mask, height, width) for mask in fill_masks]
            _refuse_whole_masks(fill_masks)

        # 2. Complete picture by picture: a batch gives exactly what its single pictures give
        completer = self._completer()
        jobs = list(zip(pictures, fill_masks))
        results = []
        try:
            for picture, mask in self.progress_bar(jobs) if len(jobs) > 1 else jobs:
                fill = completer(picture.rgb, mask, padding_mask_crop, working_size, blend, texture)
                results.append(picture.completed(fill, mask, output_type))
        finally:
            self.maybe_free_model_hooks()

        # 3. Batches where the sizes allow it
        if output_type != "pil" and len({(result.shape, result.dtype) for result in results}) == 1:
            results = np.stack(results) if output_type == "np" else torch.stack(results)
        return ImagePipelineOutput(images=results) if return_dict else (results,)

    def _completer(self) -> Completer:
        """The model made ready for inference, which is done again only after its weights, type or device changed."""
        model, device = self.completion_network, self._execution_device
        tensors = [*model.parameters(), *model.buffers()]
        kinds = [(tensor.dtype, tensor.shape) for tensor in tensors]
        settings = model.compute_dtype, model.compile_arguments, device, kinds
        if self._ready is not None:
            former_settings, former_tensors, completer = self._ready
            if settings == former_settings and all(torch.equal(a, b) for a, b in zip(tensors, former_tensors)):
                return completer
        completer = Completer(model, device)
        self._ready = settings, [tensor.clone() for tensor in tensors], completer
        return completer


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, Integral) and value >= least


def _refuse_whole_masks(fill_masks: list[np.ndarray]) -> None:
    for index, mask in enumerate(fill_masks):
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
