"""glcic_hub: globally and locally consistent image completion as a Hub model and a diffusers pipeline.

The public names are loaded on first use, so that `import glcic_hub` is cheap and the command line starts fast.
"""

import importlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glcic_hub.filling.completer import Completer
    from glcic_hub.filling.fill import fill
    from glcic_hub.filling.options import FillOptions
    from glcic_hub.masks import draw_mask
    from glcic_hub.model import GLCICModel
    from glcic_hub.network import CompletionNetwork, Discriminator, fold_batchnorm
    from glcic_hub.pipeline import GLCICPipeline

__version__ = "0.1.0"

_HOME_OF = {
    "Completer": "glcic_hub.filling.completer",
    "CompletionNetwork": "glcic_hub.network",
    "Discriminator": "glcic_hub.network",
    "fold_batchnorm": "glcic_hub.network",
    "FillOptions": "glcic_hub.filling.options",
    "draw_mask": "glcic_hub.masks",
    "fill": "glcic_hub.filling.fill",
    "GLCICModel": "glcic_hub.model",
    "GLCICPipeline": "glcic_hub.pipeline",
}
__all__ = [
    "Completer",
    "CompletionNetwork",
    "Discriminator",
    "FillOptions",
    "GLCICModel",
    "GLCICPipeline",
    "__version__",
    "draw_mask",
    "fill",
    "fold_batchnorm",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return __all__


class _RegisterWithDiffusers:
    """Import hook: once diffusers loads its Auto classes, load our pipeline, which enters itself there."""

    trigger = "diffusers.pipelines.auto_pipeline"
    is_asking = False  # for the true place of the module, which asks this hook again

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name != self.trigger or self.is_asking:
            return None
        self.is_asking = True
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self.is_asking = False
        if spec is None:
            return None
        load = spec.loader.exec_module

        def load_and_register(module: object) -> None:
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            load(module)
            importlib.import_module("glcic_hub.pipeline")

        spec.loader.exec_module = load_and_register
        return spec


if _RegisterWithDiffusers.trigger in sys.modules:
    importlib.import_module("glcic_hub.pipeline")
else:
    sys.meta_path.insert(0, _RegisterWithDiffusers())
