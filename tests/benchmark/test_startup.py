"""Which imports are costly, from a given report of `python -X importtime`."""

from tests.benchmark.startup import costly_imports, table

REPORT = """\
import time: self [us] | cumulative | imported package
import time:       100 |        100 |   encodings
import time:     20000 |      20100 | site
import time:       500 |        500 |   glcic_hub.errors
import time:      1000 |       1500 | glcic_hub.cli
import time:    300000 |     300000 |       numpy._core
import time:    100000 |     400000 |     numpy
import time:    900000 |     900000 |     torch
import time:      2000 |    1302000 |   glcic_hub.images
import time:      5000 |       5000 |   json
import time:     30000 |      30000 |     scipy.sparse
import time:      1000 |      31000 |   glcic_hub.blending
import time:      3000 |    1341000 | glcic_hub.completion
a line of the program itself
import time:     40000 |      40000 | PIL.PngImagePlugin
"""


def test_imports_from_outside_are_listed_with_those_who_asked_for_them():
    found = [(row["module"], row["importer"], row["seconds"]) for row in costly_imports(REPORT)]
    assert found == [
        ("torch", "glcic_hub.images", 0.9),
        ("numpy", "glcic_hub.images", 0.4),
        ("PIL.PngImagePlugin", None, 0.04),
        ("scipy.sparse", "glcic_hub.blending", 0.03),
        ("site", None, 0.02),
    ]


def test_the_table_shows_them():
    record = {"median_seconds": {"import torch": 1.5}, "inpaint_without_torch_seconds": 0.7}
    lines = table(record | {"imports": costly_imports(REPORT)}).splitlines()
    assert lines[0] == "    1.50 s  import torch"
    assert lines[1].startswith("    0.70 s  glcic inpaint without")
    assert lines[4].split() == ["0.900", "s", "torch", "by", "glcic_hub.images"]
