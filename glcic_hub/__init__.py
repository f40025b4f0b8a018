"""glcic_hub: globally and locally consistent image completion as a Hub model and a diffusers pipeline.

The public names are loaded on first use, so that `import glcic_hub` is cheap and the command line starts fast.
"""

import importlib
import os
import sys
import warnings
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
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

if "OMP_WAIT_POLICY" not in os.environ:
    # PyTorch's threads wait for each other in a loop, for milliseconds, before they sleep: where another program is
    # busy as well, a fill took forty times as long as with a thousand turns, and on an idle machine as long. The number
    # is read when torch is first imported.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

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


def _register_with_diffusers(just_loaded: str = "") -> None:
    """Whatever goes wrong becomes a warning: it must end neither our import nor diffusers'."""
    try:
        pipeline = importlib.import_module("glcic_hub.pipeline")
        # where it is being imported just now, it has not got so far and does it itself
        getattr(pipeline, "register_with_diffusers", lambda _: None)(just_loaded)
    except Exception as error:  # noqa: BLE001
        _warn_that_diffusers_does_not_know(error)


def _warn_that_diffusers_does_not_know(error: Exception) -> None:
    warnings.warn(f"diffusers' own classes will not find GLCICPipeline: {error!r}", stacklevel=2)


class _WaitForDiffusers:
    """Import hook: as soon as diffusers has loaded what asks for pipelines, ours enters itself there."""

    def __init__(self):
        self.awaited = {f"diffusers.pipelines.{name}" for name in ("pipeline_utils", "auto_pipeline")}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in self.awaited:
            return None
        try:
            others = (finder for finder in sys.meta_path if finder is not self)
            spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)))
            load = spec.loader.exec_module  # type: ignore[union-attr]  # without one the warning below says so

            def load_and_register(module: ModuleType) -> None:
                load(module)
                self.awaited.discard(name)
                if not self.awaited and self in sys.meta_path:
                    sys.meta_path.remove(self)
                _register_with_diffusers(name)

            spec.loader.exec_module = load_and_register  # type: ignore[method-assign, union-attr]  # this is the hook
        except Exception as error:  # noqa: BLE001
            _warn_that_diffusers_does_not_know(error)
            return None  # the import goes on without this hook
        return spec


_waiting = _WaitForDiffusers()
if _waiting.awaited & sys.modules.keys():
    _register_with_diffusers()
_waiting.awaited -= sys.modules.keys()
if _waiting.awaited:
    sys.meta_path.insert(0, _waiting)
