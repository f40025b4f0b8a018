"""Inference Endpoints: images and masks come in as base64 (or bytes), the completed image goes back as base64.

The code is this repository's `pipeline.py`: the weights meet the code that they were published with, and nothing but
what `requirements.txt` names has to be installed.
"""

import base64
import importlib.util
import io
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

INPUTS = ("image", "mask")
SIZE_PARAMETERS = ("height", "width")
PNG_MODES = ("1", "L", "LA", "I;16", "P", "RGB", "RGBA")


class EndpointHandler:
    """The model of a repository, ready to answer requests.

    Args:
        path: folder with the repository's files.
    """

    def __init__(self, path: str = ""):
        folder = Path(path)
        spec = importlib.util.spec_from_file_location("glcic_pipeline", folder / "pipeline.py")
        self.code = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.code)
        model = self.code.GLCICModel.from_pretrained(folder / "completion_network")
        self.pipe = self.code.GLCICPipeline(model).to(self.code.choose_device())
        self.parameters = (*(option.name for option in fields(self.code.FillOptions)), *SIZE_PARAMETERS)

    def __call__(self, data: dict[str, Any]) -> dict[str, str]:
        """Complete one image.

        Args:
            data: "inputs" is {"image": ..., "mask": ...}, or only an image; each as base64 text (with or without
                "data:image/png;base64," in front), bytes of an image file, or a PIL image. White in the mask is
                filled. Without a mask, it is the part of the image that is transparent. "parameters" may hold
                the fields of `FillOptions`, and `height` and `width` of the pipeline.

        Returns:
            {"image": base64 of a PNG, upright}, or {"error": what was wrong with the request}.
        """
        try:
            image, mask = self._read_inputs(data.get("inputs"))
            parameters = data.get("parameters") or {}
            _refuse_others("parameters", parameters, self.parameters)
            result = self.pipe(image, mask, **parameters).images[0]
        except (OSError, TypeError, ValueError) as error:
            return {"error": str(error)}
        if result.mode not in PNG_MODES:
            result = result.convert("RGB")
        buffer = io.BytesIO()
        result.save(buffer, "PNG")
        return {"image": base64.b64encode(buffer.getvalue()).decode()}

    def _read_inputs(self, inputs: object) -> tuple[Image.Image, Any]:
        """The image, and its mask as the pipeline takes it."""
        if not isinstance(inputs, dict):
            inputs = {"image": inputs}
        _refuse_others("inputs", inputs, INPUTS)
        image = _read_image(inputs.get("image"), "image")
        if inputs.get("mask") is not None:
            return image, _read_image(inputs["mask"], "mask")
        mask = self.code.from_transparency(image)
        if mask is None:
            raise ValueError(
                'the request has no mask: send {"inputs": {"image": ..., "mask": ...}} with white where the image '
                "should be filled, or an image that is transparent there"
            )
        return self.code.without_transparency(image), mask


def _read_image(value: object, name: str) -> Image.Image:
    """An image, upright."""
    if isinstance(value, str):
        try:
            value = base64.b64decode(value.rpartition("base64,")[2], validate=True)
        except ValueError as error:
            raise ValueError(f"the {name} is not base64 text of an image file: {error}") from error
    if isinstance(value, bytes | bytearray):
        try:
            value = Image.open(io.BytesIO(value))
            value.load()
        except Exception as error:  # noqa: BLE001 - the decoders raise SyntaxError, EOFError, struct.error and more
            raise ValueError(f"the {name} is not a readable image file: {error}") from error
    if not isinstance(value, Image.Image):
        raise ValueError(f"the {name} must be base64 text or the bytes of an image file; got {type(value).__name__}")
    return ImageOps.exif_transpose(value)


def _refuse_others(what: str, given: object, known: tuple[str, ...]) -> None:
    if not isinstance(given, dict) or given.keys() - set(known):
        names = ", ".join(sorted(map(str, given))) if isinstance(given, dict) else type(given).__name__
        raise ValueError(f"{what} may hold {', '.join(known)}; got {names}")
