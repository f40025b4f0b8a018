"""Writes ONNX graphs by hand: one method call, one node.

The package's graphs are made this way, and not by `torch.onnx.export`, because a graph that looks for the hole, cuts
out its surroundings and pastes the result has sizes that depend on the data, which that exporter cannot trace; and
because seventeen convolutions are quickly written down. The tests hold the graphs to the PyTorch code.
"""

from collections.abc import Callable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 18
"""The oldest that has what is needed (`Resize` with `antialias`, `ReduceMax` with axes as an input): the older the
opset, the more runtimes can read the file."""

IR_VERSION = 8
"""The file format that came with the opset."""

DTYPES = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "uint8": TensorProto.UINT8,
    "int64": TensorProto.INT64,
}


class Graph:
    """A graph that grows: `op.Add(x, 1.0)` appends the node `Add` and returns the name of its output.

    Inputs of a node are names of values, or constants: numbers, lists and arrays. Python's ints become int64, its
    floats float32. Attributes are the keyword arguments.
    """

    def __init__(self):
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def __getattr__(self, op_type: str) -> Callable[..., str]:
        if not op_type[0].isupper():
            raise AttributeError(op_type)
        return lambda *inputs, **attributes: self._add(op_type, inputs, attributes)

    def _add(self, op_type: str, inputs: tuple, attributes: dict) -> str:
        names = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        output = f"{op_type}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(op_type, names, [output], output, **attributes))
        return output

    def constant(self, value: float | list | np.ndarray, name: str | None = None) -> str:
        """Add a constant under a name of its own, or one that is made up; returns the name."""
        array = np.asarray(value)
        if not isinstance(value, np.ndarray) and array.dtype == np.float64:
            array = array.astype(np.float32)
        name = name or f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(array, name))
        return name

    def cast(self, value: str, dtype: str) -> str:
        """`value` as another type, by NumPy's name of it."""
        return self.Cast(value, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def model(self, name: str, inputs: dict, output: tuple[str, str], shape: tuple, about: dict) -> onnx.ModelProto:
        """Finish the graph.

        Args:
            name: of the graph.
            inputs: {name: (dtype, shape)}; a side of a shape is a number, or a name where any will do.
            output: (name in the file, value that it has).
            shape: (dtype, shape) of the output.
            about: {key: text}, the metadata.

        Returns:
            The checked model, its shapes inferred.
        """
        output_name, value = output
        self._nodes.append(helper.make_node("Identity", [value], [output_name], output_name))
        values = [helper.make_tensor_value_info(key, DTYPES[dtype], sides) for key, (dtype, sides) in inputs.items()]
        result = helper.make_tensor_value_info(output_name, DTYPES[shape[0]], shape[1])
        graph = helper.make_graph(self._nodes, name, values, [result], self._constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        helper.set_model_props(model, about)
        onnx.checker.check_model(model, full_check=True)
        return model


def sides(op: Graph, value: str) -> str:
    """Height and width, int64 (2,), of (B, C, H, W)."""
    return op.Shape(value, start=2)


def resized(op: Graph, value: str, size: str, **attributes: object) -> str:
    """(B, C, H, W) brought to `size`, int64 (2,); attributes as of `Resize`."""
    sizes = op.Concat(op.Shape(value, end=2), size, axis=0)
    return op.Resize(value, "", "", sizes, **attributes)


def scalar(op: Graph, value: float) -> str:
    """A number, float64 (1,): sizes are computed as precisely as in Python."""
    return op.constant(np.array([value], np.float64))
