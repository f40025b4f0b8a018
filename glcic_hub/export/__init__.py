"""Models as ONNX files, which run without PyTorch: in ONNX Runtime, in browsers, on phones.

`export_onnx` makes the file's bytes. Importing this module imports neither torch nor onnx, so that the command line
can check its arguments before it does.

Two kinds of graph; opset 18 (`graph.py` says why), no external data:

- "network": inputs `image`, float32 (B, 3, H, W), RGB in [0, 1], and `mask`, float32 (B, 1, H, W), 1 = fill, 0 = known;
  output `completed`, float32 (B, 3, H, W), RGB in [0, 1], meant to be used under the mask only. Any B, H and W. The
  mean colour and the blanking of the hole are inside, so that what lies under the mask has no influence; sizes that
  are not multiples of 4 are padded and cropped inside as `network.complete_batch` does. Holes larger than those of the
  training (metadata: `max_hole_size`) come out better when the image is shown smaller, which is left to the caller.
- "pipeline": inputs `photo`, uint8 (1, H, W, 3), RGB, and `mask`, uint8 (1, H, W), 128 or more = fill; output
  `completed`, uint8 (1, H, W, 3). Any H and W. Pixels outside the mask are those of the photo, bit for bit, and what
  lies under the mask has no influence. `pipeline_graph.py` lists the differences from the Python pipeline.

Three precisions, of the network's weights and arithmetic; all else is float32:

- "fp32": as computed by PyTorch on a CPU.
- "fp16": half the size; also computed in float16, where the runtime has it.
- "int8": a quarter of the size; weights of 8 bits with a scale for each output channel, computed in float32.

Measured with glcic-scenes: 32 validation images for each of the two protocols of `train/evaluate.py` at 256 px, ONNX
Runtime on a CPU, kind "pipeline", mean PSNR inside the holes in dB. The Python pipeline has 16.75 and 18.86.

                        megabytes   to the truth, box / strokes   to fp32, mean / worst
    fp32                     24.4   16.76 / 18.92                     -
    fp16                     12.3   16.76 / 18.92                  71.0 / 66.1
    int8                      6.2   16.76 / 18.92                  53.8 / 49.8

Against the result of the Python pipeline "fp32" has 50.3 dB for boxes and 34.7 dB for strokes, which it completes
as one hole. onnxruntime.quantization, which rounds activations as well, was tried for "int8" with former weights and
lost more: to fp32, in crops of 128 px, 43.9 dB dynamic and 38.5 dB static at best, where weights alone had 54.4 dB.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glcic_hub.model import GLCICModel

KINDS = ("network", "pipeline")
PRECISIONS = ("fp32", "fp16", "int8")

EMBEDDED_TERMS = (
    "The weights were trained on research data sets with differing and partly unclear terms: they carry no clear "
    "permission for commercial use."
)


def export_onnx(model: "GLCICModel", kind: str, precision: str = "fp32", *, name: str = "", terms: str = "") -> bytes:
    """Make an ONNX file of a model.

    Args:
        model: the model; it stays as it is.
        kind: one of `KINDS`.
        precision: one of `PRECISIONS`.
        name: what the metadata call the model.
        terms: what the metadata say about the licence of its weights; `terms_of` finds it.

    Returns:
        The file's bytes.

    Raises:
        ValueError: an unknown kind or precision.
        ImportError: onnx is not installed.
    """
    for argument, value, known in (("kind", kind, KINDS), ("precision", precision, PRECISIONS)):
        if value not in known:
            raise ValueError(f"{argument} must be one of {', '.join(known)}; got {value!r}")
    try:
        from glcic_hub.export.graph import Graph
    except ImportError as error:
        raise ImportError('exporting needs onnx: pip install ".[onnx]"') from error
    from glcic_hub.export.network_graph import add_completion
    from glcic_hub.export.pipeline_graph import add_pipeline

    op = Graph()
    if kind == "network":
        inputs: dict[str, tuple[str, tuple[int | str, ...]]] = {"image": ("float32", ("batch", 3, "height", "width"))}
        inputs["mask"] = ("float32", ("batch", 1, "height", "width"))
        output = inputs["image"]
        result = add_completion(op, model.network, model.mean, "image", "mask", precision)
    else:
        inputs = {"photo": ("uint8", (1, "height", "width", 3)), "mask": ("uint8", (1, "height", "width"))}
        output = inputs["photo"]
        result = add_pipeline(op, model, "photo", "mask", precision)
    about = _about(model, kind, precision, name, terms)
    return op.model(f"glcic_{kind}", inputs, ("completed", result), output, about).SerializeToString()


def terms_of(name: str | Path | None) -> str:
    """What is known here about the licence of a model's weights, by the name that `from_pretrained` takes."""
    from glcic_hub.model import embedded_models

    card = Path(name or "", "README.md")
    if name is not None and card.is_file():
        text = card.read_text(encoding="utf-8", errors="replace")
        licence = re.search("^license_name: *(.+)", text, re.M) or re.search("^license: *(.+)", text, re.M)
        if licence:
            return f"The weights are under the licence {licence[1].strip()}, as their model card says."
    elif name is None or str(name) in embedded_models():
        return EMBEDDED_TERMS
    return "The terms of the weights are those of the model that was exported: see its model card."


def _about(model: "GLCICModel", kind: str, precision: str, name: str, terms: str) -> dict[str, str]:
    from glcic_hub import __version__
    from glcic_hub.model import PAPER_URL

    return {
        "name": name,
        "kind": kind,
        "precision": precision,
        "licence": f"The graph is made by glcic_hub (Apache-2.0). {terms}".rstrip(),
        "source": f"glcic_hub {__version__}; Globally and Locally Consistent Image Completion, {PAPER_URL}",
        "mean": " ".join(f"{value:g}" for value in model.mean.tolist()),
        "sample_size": str(model.sample_size),
        "max_hole_size": str(model.max_hole_size),
        "texture": model.texture or "none",
    }
