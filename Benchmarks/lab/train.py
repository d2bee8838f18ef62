# SPDX-License-Identifier: Apache-2.0
"""Trains a network of the program in PyTorch, with the recipe of `videnhance train`: see README.md for a GPU's half hour.

Example, a small test on a CPU:
  python3 train.py --cache CACHE --output small.safetensors --blocks 1 --channels 16 --steps 20 --device cpu --workers 1
"""
import argparse
import copy
import json
import math
import os
import queue
import threading
import time
from pathlib import Path

import numpy as np
import torch

import model_file
import muon
import sampler
import twin
import validation
from model_file import Architecture

KINDS = ("value", "first", "second", "average")
CHECKPOINT_KEY = "videnhance.training"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", required=True, help="folder of frames, made by films.py or `make data`")
    parser.add_argument("--output", required=True, help="averaged weights, written with every validation")
    parser.add_argument("--checkpoint", help="state of the run, in the program's own format; continued if it exists")
    parser.add_argument("--validation", help="windows, made by validation.py")
    parser.add_argument("--task", default="sr", choices=["sr", "restore", "denoise", "interp"])
    parser.add_argument("--scale", type=int, default=2)
    parser.add_argument("--start", help="model file to start from, layer by layer where they agree")
    parser.add_argument("--channels", type=int)
    parser.add_argument("--blocks", type=int)
    parser.add_argument("--window", type=int)
    parser.add_argument("--encoder-channels", type=int)
    parser.add_argument("--fusion", choices=["convolution", "attention"], default="convolution")
    parser.add_argument("--heads", type=int, help=f"of attention (default {model_file.HEADS})")
    parser.add_argument("--conditioned", choices=["on", "off"], help="default: on for sr and restore")
    parser.add_argument("--quantizer-share", "--told-share", type=float, default=0.65, help="0 trains a network that never receives quantizers")
    parser.add_argument("--clean-share", type=float, help="default 0.25, and 0.6 for networks that are not conditioned")
    parser.add_argument("--contrast-weight", type=float, default=0,
                        help="weight of errors in local contrast, relative to squared errors")
    parser.add_argument("--relative-loss", action="store_true", help="divide a window's loss by its error before enhancement")
    parser.add_argument("--minutes", type=float, default=10, help="length of the whole run, continued parts included")
    parser.add_argument("--steps", type=int, help="length in steps instead")
    parser.add_argument("--stop-after", type=float, help="seconds after which this process saves and ends, to be continued")
    parser.add_argument("--optimizer", choices=["muon", "adam"], help="default: muon for sr from random weights, else adam")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--warm-up", type=int, default=200, help="steps")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--crop", type=int, help="side of the ground truth (default 192, and 96 at full size)")
    parser.add_argument("--pool", type=int, default=1500, help="windows held on the device")
    parser.add_argument("--reuse", type=float, default=4, help="wait for fresh windows where each was drawn more often")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    parser.add_argument("--precision", choices=["f32", "bf16"], default="bf16")
    parser.add_argument("--compile", action="store_true", help="torch.compile")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--validate-seconds", type=float, default=120)
    parser.add_argument("--report-seconds", type=float, default=10)
    options = parser.parse_args()
    options.optimizer = options.optimizer or ("muon" if options.task == "sr" and not options.start else "adam")
    if options.task == "interp" and options.contrast_weight:
        parser.error("--contrast-weight is not for interp")
    return options


def architecture_of(options):
    result = Architecture.balanced(options.task, options.scale)
    for field, value in [("channels", options.channels), ("blocks", options.blocks), ("window", options.window),
                         ("encoderChannels", options.encoder_channels), ("heads", options.heads),
                         ("fusion", "attention" if options.fusion == "attention" else None)]:
        if value is not None:
            setattr(result, field, value)
    if options.conditioned:
        result.isConditioned = True if options.conditioned == "on" else None
    return result


class Pool:
    """Windows on the device; fresh ones replace random others. A thread gathers them, so that steps need not wait."""

    def __init__(self, capacity, size, device, workers, seed):
        self.records = torch.empty((capacity, size), dtype=torch.uint8, device=device)
        self.device, self.workers, self.count, self.fresh = device, workers, 0, 0
        self.random = np.random.default_rng(seed)
        self.on_gpu = device.startswith("cuda")
        self.empty, self.ready = queue.Queue(), queue.Queue()
        for _ in range(3):
            self.empty.put((torch.empty((min(256, capacity), size), dtype=torch.uint8, pin_memory=self.on_gpu), None))
        threading.Thread(target=self.gather, daemon=True).start()

    def gather(self):
        try:
            while True:
                staging, copied = self.empty.get()
                if copied:
                    copied.synchronize()
                slots = []
                while not slots:
                    slots = self.workers.take(len(staging), wait=1)
                np.take(self.workers.records, slots, 0, out=staging[:len(slots)].numpy())
                self.workers.give_back(slots)
                self.ready.put((staging, len(slots)))
        except Exception as problem:
            self.ready.put(problem)

    def refill(self, wait=0.0):
        """Takes over what is ready; waits up to `wait` seconds for it."""
        try:
            item = self.ready.get(timeout=wait) if wait else self.ready.get_nowait()
        except queue.Empty:
            return
        if isinstance(item, Exception):
            raise item
        staging, n = item
        room = min(n, len(self.records) - self.count)
        places = np.concatenate([np.arange(self.count, self.count + room),
                                 self.random.choice(len(self.records), n - room, replace=False)])
        self.records[torch.from_numpy(places).to(self.device)] = staging[:n].to(self.device, non_blocking=True)
        copied = None
        if self.on_gpu:
            copied = torch.cuda.Event()
            copied.record()
        self.empty.put((staging, copied))
        self.count += room
        self.fresh += n

    def draw(self, batch):
        places = torch.from_numpy(self.random.integers(self.count, size=batch))
        return self.records[places.to(self.device)]


class Run:
    """The state of a run: parameters, the moments of its gradients, the average that is shipped."""

    def __init__(self, options):
        self.options, self.architecture = options, architecture_of(options)
        if options.clean_share is None:
            options.clean_share = 0.25 if self.architecture.conditioned else 0.6
        self.crop = options.crop or (96 if self.architecture.scale == 1 else 192)
        self.side = self.crop // self.architecture.scale // 2
        self.network = twin.Twin(self.architecture)
        self.network.initialize(options.seed)
        self.start_recipe = "null"
        if options.start:
            old, layers, recipe = model_file.read_network(options.start)
            self.network.warm_start(old, layers)
            self.start_recipe = recipe if recipe.startswith("{") else "null"
        self.network = self.network.to(options.device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        names = [name for name, _, _ in self.architecture.layers()]
        hidden = [self.network.layer(name).weight for name in names[1:-1]] if options.optimizer == "muon" else []
        others = [p for p in self.network.parameters() if not any(p is weight for weight in hidden)]
        self.optimizers = [torch.optim.Adam(others, lr=options.learning_rate, betas=(0.9, 0.99), eps=1e-8)]
        if hidden:
            self.optimizers.append(muon.Muon(hidden, options.learning_rate))
        self.step, self.seconds = 0, 0.0
        if options.checkpoint and Path(options.checkpoint).exists():
            self.read_checkpoint()
        self.forward = torch.compile(self.loss) if options.compile else self.loss

    def autocast(self):
        return torch.autocast(self.options.device.split(":")[0], torch.bfloat16, self.options.precision == "bf16")

    def loss(self, slots, wanted, base):
        with self.autocast():
            output = self.network(slots).float()
        loss = twin.charbonnier(output, wanted, self.architecture, self.options.relative_loss)
        if base is None:
            return loss
        contrast = twin.contrast(output, wanted, base, self.architecture, self.options.relative_loss)
        return loss + self.options.contrast_weight * contrast

    def predict(self, slots):
        with self.autocast():
            return self.average(slots)

    def rate(self, progress):
        cosine = 0.5 + 0.5 * math.cos(math.pi * min(1, progress))
        return self.options.learning_rate * (0.01 + 0.99 * cosine) * min(1, (self.step + 1) / max(1, self.options.warm_up))

    def advance(self, records, progress):
        """One step; the loss stays on the device."""
        codes, truth = twin.unpack(records, self.architecture, self.side, self.side)
        with torch.no_grad():
            wanted = twin.target(codes, truth, self.architecture)
            base = None
            if self.options.contrast_weight:
                base = twin.base(codes[self.architecture.middle][:, :6], self.architecture.scale)
            slots = [twin.floats(slot) for slot in codes]
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.rate(progress)
            optimizer.zero_grad(set_to_none=True)
        value = self.forward(slots, wanted, base)
        value.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 0.5)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        decay = min(0.999, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.network.parameters()), 1 - decay)
        return value.detach()

    # MARK: Files

    def recipe(self):
        o = self.options
        settings = {
            "architecture": json.loads(self.architecture.json()), "batch": o.batch, "cropSize": self.crop,
            "degradation": {"cleanShare": o.clean_share} | (
                {"toldShare": o.quantizer_share} if self.architecture.conditioned else {}),
            "learningRate": o.learning_rate, "minutes": round(self.seconds / 60, 2), "optimizer": o.optimizer,
            "poolCapacity": o.pool, "precision": o.precision, "seed": o.seed, "startedFrom": Path(o.start).name if o.start else ""}
        if o.contrast_weight:
            settings["contrastWeight"] = o.contrast_weight
        if o.relative_loss:
            settings["hasRelativeLoss"] = True
        text = json.dumps(settings, sort_keys=True, separators=(",", ":"))
        return f'{{"settings":{text},"start":{self.start_recipe},"steps":{self.step},"tool":"Benchmarks/lab/train.py"}}'

    def state_of(self, parameter):
        """The moments of its gradients; empty at first."""
        of = self.optimizers[-1] if any(parameter is p for p in self.optimizers[-1].param_groups[0]["params"]) else self.optimizers[0]
        return of.state[parameter]

    def save(self):
        model_file.write_network(self.options.output, self.architecture, self.average.numbers(), self.recipe())
        if self.options.checkpoint:
            self.write_checkpoint()

    def write_checkpoint(self):
        """The format of Sources/Training/Checkpoint.swift: either trainer continues the other's runs."""
        tensors = {}
        for name, _, _ in self.architecture.layers():
            mine, mean = self.network.layer(name), self.average.layer(name)
            states = [self.state_of(p) for p in (mine.weight, mine.bias)]
            zeros = [torch.zeros_like(p) for p in (mine.weight, mine.bias)]
            for kind, pair in zip(KINDS, [
                    (mine.weight, mine.bias), [s.get("exp_avg", z) for s, z in zip(states, zeros)],
                    [s.get("exp_avg_sq", z) for s, z in zip(states, zeros)], (mean.weight, mean.bias)]):
                tensors[f"{name}.{kind}"] = np.concatenate(
                    [part.detach().float().cpu().contiguous().numpy().ravel() for part in pair])
        state = {"architecture": json.loads(self.architecture.json()), "optimizer": self.options.optimizer,
                 "seconds": self.seconds, "step": self.step}
        model_file.write(self.options.checkpoint, tensors, {CHECKPOINT_KEY: json.dumps(state)})

    def read_checkpoint(self):
        tensors, metadata = model_file.read(self.options.checkpoint)
        state = json.loads(metadata[CHECKPOINT_KEY])
        if state["architecture"] != json.loads(self.architecture.json()):
            raise SystemExit(f"train.py: {self.options.checkpoint} is of another network")
        if state.get("optimizer", "adam") != self.options.optimizer:
            raise SystemExit(f"train.py: {self.options.checkpoint} is of a run with another optimizer")
        self.step, self.seconds = state["step"], state["seconds"]
        for name, _, _ in self.architecture.layers():
            mine, mean = self.network.layer(name), self.average.layer(name)
            parts = {kind: torch.from_numpy(tensors[f"{name}.{kind}"].copy()) for kind in KINDS}
            split = mine.weight.numel()
            for index, parameter in enumerate((mine.weight, mine.bias)):
                of = {kind: (part[:split] if index == 0 else part[split:]).reshape(parameter.shape).to(parameter)
                      for kind, part in parts.items()}
                with torch.no_grad():
                    parameter.copy_(of["value"])
                    (mean.weight, mean.bias)[index].copy_(of["average"])
                self.state_of(parameter).update({
                    "step": torch.tensor(float(self.step)),
                    "exp_avg": torch.empty_like(parameter).copy_(of["first"]),
                    "exp_avg_sq": torch.empty_like(parameter).copy_(of["second"])})
        print(f"continuing at step {self.step}, {self.seconds / 60:.1f} minutes trained", flush=True)


def main():
    options = arguments()
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    torch.manual_seed(options.seed)
    run = Run(options)
    a = run.architecture
    print(f"{a.json()}\n{a.cost:.1f} L64, {sum(p.numel() for p in run.network.parameters())} parameters", flush=True)
    size = twin.record_bytes(a, run.side, run.side)
    # A continued run draws other windows than it did at its beginning.
    workers = sampler.Workers(options.workers, (options.cache, a, run.crop, options.clean_share, options.quantizer_share),
                              size, seed=options.seed + 1000 * run.step)
    try:
        held = validation.Validation(options.validation, a, options.device) if options.validation else None
        pool = Pool(options.pool, size, options.device, workers, options.seed + run.step)
        while pool.count < min(options.pool, 4 * options.batch):
            pool.refill(wait=60)
        train(run, pool, held)
    finally:
        workers.close()


def train(run, pool, held):
    """Steps until the run's minutes or steps are over."""
    options, before = run.options, run.seconds
    began = reported = validated = time.monotonic()
    end = began + (options.stop_after or math.inf)
    losses, loss, steps_then, drawn, fresh_then = [], 0.0, run.step, 0, pool.fresh
    operations = 3 * run.architecture.cost * 64 * 64 * 9 * run.side**2 * options.batch

    def report(validates):
        nonlocal reported, validated, steps_then, fresh_then, losses, loss
        if options.device.startswith("cuda"):
            torch.cuda.synchronize()
        now = time.monotonic()
        loss = float(torch.stack(losses).mean()) if losses else loss
        if not math.isfinite(loss):
            raise SystemExit(f"train.py: diverged at step {run.step}; the last weights are kept")
        speed = (run.step - steps_then) / max(1e-3, now - reported)
        line = (f"{run.seconds / 60:.2f} min, step {run.step}, loss {loss * 255:.3f}, {speed:.2f} steps/s, "
                f"{speed * operations / 1e9:.0f} GMAC/s, {(pool.fresh - fresh_then) / max(1e-3, now - reported):.0f} fresh windows/s")
        if validates and held:
            line += ", " + validation.text(held.evaluate(run.predict))
        print(line, flush=True)
        if validates:
            run.save()
        reported, steps_then, fresh_then, losses = time.monotonic(), run.step, pool.fresh, []
        validated = reported if validates else validated

    while True:
        run.seconds = before + time.monotonic() - began
        progress = run.step / options.steps if options.steps else run.seconds / (60 * options.minutes)
        if progress >= 1 or time.monotonic() >= end:
            break
        # Wait for workers that cannot keep up: reusing windows too often would overfit to the pool.
        pool.refill(wait=5 if drawn > options.reuse * pool.fresh else 0)
        losses.append(run.advance(pool.draw(options.batch), progress))
        drawn += options.batch
        now = time.monotonic()
        if now - reported >= options.report_seconds:
            report(now - validated >= options.validate_seconds)
    report(True)


if __name__ == "__main__":
    main()
