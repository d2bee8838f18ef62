# SPDX-License-Identifier: Apache-2.0
"""The reference stack (Sources/videnhance/Benchmarks/ReferenceStack.swift) as ONNX and ncnn files, with random weights."""
import struct

import numpy

CHANNELS = [30] + [64] * 9 + [24]
WIDTH, HEIGHT = 480, 270
OPERATIONS = sum(a * b * 9 for a, b in zip(CHANNELS, CHANNELS[1:])) * WIDTH * HEIGHT


def weights():
    """Float weights of each layer that keep values at about their size from layer to layer."""
    random = numpy.random.default_rng(7)
    return [
        random.normal(0, (2 / (a * 9)) ** 0.5, (b, a, 3, 3)).astype(numpy.float32)
        for a, b in zip(CHANNELS, CHANNELS[1:])
    ]


def write_onnx(path, quantized):
    """Conv and Relu; `quantized` puts QuantizeLinear and DequantizeLinear around every convolution (QDQ, int8 weights with
    a scale for each output channel, uint8 activations)."""
    # Imported here, because it would otherwise count towards the measured memory of every importing process.
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes, tensors = [], []

    def tensor(name, values):
        return numpy_helper.from_array(numpy.asarray(values), name)

    value = "input"

    def dequantized(name, zero):
        nodes.append(helper.make_node("QuantizeLinear", [name, name + ".s", name + ".z"], [name + ".q"]))
        nodes.append(helper.make_node("DequantizeLinear", [name + ".q", name + ".s", name + ".z"], [name + ".d"]))
        step = 1 / 255 if name == "input" else 6 / 255
        tensors.extend([tensor(name + ".s", numpy.float32(step)), tensor(name + ".z", numpy.uint8(zero))])
        return name + ".d"

    for index, weight in enumerate(weights()):
        out = weight.shape[0]
        tensors.append(tensor(f"b{index}", numpy.zeros(out, numpy.float32)))
        operand = f"w{index}"
        if quantized:
            value = dequantized(value, 128 if index == 0 else 0)
            steps = numpy.abs(weight).max(axis=(1, 2, 3)) / 127
            codes = numpy.rint(weight / steps[:, None, None, None]).astype(numpy.int8)
            tensors.extend([
                tensor(f"w{index}.q", codes), tensor(f"w{index}.s", steps.astype(numpy.float32)),
                tensor(f"w{index}.z", numpy.zeros(out, numpy.int8))])
            nodes.append(helper.make_node(
                "DequantizeLinear", [f"w{index}.q", f"w{index}.s", f"w{index}.z"], [operand], axis=0))
        else:
            tensors.append(tensor(operand, weight))
        last = index == len(CHANNELS) - 2
        name = "output" if last else f"c{index}"
        nodes.append(helper.make_node("Conv", [value, operand, f"b{index}"], [name], pads=[1] * 4))
        if not last:
            nodes.append(helper.make_node("Relu", [name], [f"r{index}"]))
            value = f"r{index}"
    shape = lambda channels: [1, channels, HEIGHT, WIDTH]
    graph = helper.make_graph(
        nodes, "stack", [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape(CHANNELS[0]))],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, shape(CHANNELS[-1]))], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def write_ncnn(path, quantized):
    """`path`.param and `path`.bin. Quantized convolutions hand 8-bit codes to each other (int8_scale_term 102)."""
    last = len(CHANNELS) - 2
    lines = ["7767517", f"{last + 2} {last + 2}", "Input input 0 1 data"]
    blob = b""
    for index, weight in enumerate(weights()):
        name = "output" if index == last else f"c{index}"
        source = "data" if index == 0 else f"c{index - 1}"
        term = 0 if not quantized else 2 if index == last else 102
        lines.append(
            f"Convolution conv{index} 1 1 {source} {name} 0={weight.shape[0]} 1=3 4=1 5=1 6={weight.size} 8={term} "
            f"9={0 if index == last else 1}")
        bias = numpy.zeros(weight.shape[0], numpy.float32).tobytes()
        if quantized:
            steps = numpy.abs(weight).max(axis=(1, 2, 3)) / 127
            codes = numpy.rint(weight / steps[:, None, None, None]).astype(numpy.int8).tobytes()
            blob += struct.pack("<I", 0x000D4B38) + codes + b"\0" * (-len(codes) % 4) + bias
            blob += (1 / steps).astype(numpy.float32).tobytes()
            blob += struct.pack("<f", 127 if index == 0 else 127 / 6)
            if term > 100:
                blob += struct.pack("<f", 127 / 6)
        else:
            blob += struct.pack("<I", 0) + weight.tobytes() + bias
    with open(path + ".param", "w") as file:
        file.write("\n".join(lines) + "\n")
    with open(path + ".bin", "wb") as file:
        file.write(blob)
