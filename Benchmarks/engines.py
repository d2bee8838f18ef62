# SPDX-License-Identifier: Apache-2.0
"""The engines that are compared: each is created once, then runs in rounds interleaved with the others."""
import os
import subprocess
import time

import numpy

# Of processors, as in /proc/cpuinfo.
EXTENSIONS = ("avx2", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8", "asimddp", "i8mm", "bf16")
# Obeyed by oneDNN and openvino; the others know no limit.
LIMIT = os.environ.get("ONEDNN_MAX_CPU_ISA", "")


def obeys_limit(name):
    """Whether an engine uses no more than what is measured: without a limit, all do. openvino refuses bf16 where the limit
    excludes its instructions but the processor has them."""
    has_bf16 = not LIMIT or "AMX" in LIMIT or "BF16" in LIMIT
    return not LIMIT or name.startswith("openvino") and (has_bf16 or not name.endswith("bf16"))


class Onnxruntime:
    def __init__(self, path, threads):
        import onnxruntime
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        settings.inter_op_num_threads = 1
        # Otherwise its threads would keep spinning during the next engine's turn.
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
        self.version = onnxruntime.__version__

    def run(self, inputs):
        return self.session.run(None, inputs)[0]


class Openvino:
    """`precision` is f32 or bf16 for operators that are not quantized; quantized operators run in integers if possible."""

    def __init__(self, path, threads, precision="f32", shapes=None):
        import openvino
        core = openvino.Core()
        model = core.read_model(path)
        if shapes:
            model.reshape(shapes)
        self.model = core.compile_model(model, "CPU", {
            "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision, "ENABLE_CPU_PINNING": False})
        self.request = self.model.create_infer_request()
        self.version = openvino.__version__.split("-")[0]

    def run(self, inputs):
        self.request.infer(inputs, share_inputs=True)
        return self.request.get_output_tensor(0).data


def openvino_has(capability):
    """Whether the processor, within the limit, computes in for example BF16; otherwise FP32 takes its place."""
    import openvino
    return capability in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class Ncnn:
    def __init__(self, path, threads, quantized):
        import ncnn
        self.ncnn = ncnn
        self.net = ncnn.Net()
        self.net.opt.num_threads = threads
        self.net.opt.use_int8_inference = quantized
        # Disable the 16-bit types that ncnn uses by default, for a true 32-bit result.
        for name in ("fp16_storage", "fp16_packed", "fp16_arithmetic", "bf16_storage"):
            setattr(self.net.opt, "use_" + name, False)
        if self.net.load_param(path + ".param") or self.net.load_model(path + ".bin"):
            raise RuntimeError(f"ncnn cannot load {path}")
        self.version = ncnn.__version__

    def run(self, inputs):
        extractor = self.net.create_extractor()
        extractor.input("data", self.ncnn.Mat(inputs["input"][0]))
        code, output = extractor.extract("output")
        if code:
            raise RuntimeError("ncnn cannot run the stack")
        return numpy.array(output)


class Videnhance:
    """Our program, driven by one line per job; it times itself."""

    def __init__(self, program, clip=None):
        command = [program, "bench", "engine"] + (["--clip", clip] if clip else [])
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdin and self.process.stdout
        self.jobs, self.answers = self.process.stdin, self.process.stdout

    def ask(self, line):
        self.jobs.write(line + "\n")
        self.jobs.flush()
        answer = self.answers.readline()
        if not answer:
            raise RuntimeError(f"videnhance bench engine ended at '{line}'")
        return answer.split()

    def close(self):
        self.jobs.close()
        self.process.wait()


def seconds_of(engine, inputs):
    """Seconds of the second of two runs. The first one absorbs the effects of the previous engine on caches and threads:
    threads of OpenMP and onnxruntime keep spinning for a while, which slows the next engine by up to a fifth."""
    engine.run(inputs)
    start = time.perf_counter()
    engine.run(inputs)
    return time.perf_counter() - start


def processor() -> dict[str, str]:
    """What /proc/cpuinfo says of the first processor."""
    with open("/proc/cpuinfo") as file:
        lines = file.read().split("\n\n")[0].splitlines()
    pairs = (line.partition(":") for line in lines)
    return {key.strip(): value.strip() for key, _, value in pairs}


def machine() -> dict[str, object]:
    """Facts that figures depend on."""
    facts = processor()
    extensions = facts.get("flags", facts.get("Features", "")).split()
    # arm64 names its cores by numbers.
    names = ("model name", "cpu family", "model", "CPU implementer", "CPU part")
    result: dict[str, object] = {name: facts[name] for name in names if name in facts}
    result["cores"] = os.cpu_count()
    result["extensions"] = [name for name in EXTENSIONS if name in extensions]
    result["limit"] = LIMIT
    return result
