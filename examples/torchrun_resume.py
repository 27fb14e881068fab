"""Training on several processes that may be killed and resumed with another number of processes.

    torchrun --nproc-per-node 2 examples/torchrun_resume.py --checkpoint run.pt
    torchrun --nproc-per-node 3 examples/torchrun_resume.py --checkpoint run.pt

The checkpoint holds the model and the position in the data. It is written every few steps, and the
next run resumes from it: each picture is trained on once per epoch, however often the run was
killed and however many processes it had. `batch_size` is the global batch, so steps and learning
rate do not depend on the number of processes either.

With --journal FOLDER each process writes the pictures of each step. Steps after the last checkpoint
are lost in a kill, model and position alike, and run again.
"""

import argparse
import json
import os
import time
from pathlib import Path

import torch
import torch.distributed as dist
from make_data import demo_data
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from pyloader import ImageDataGenerator
from pyloader.integrations.torch import TorchLoader


def main():
    """Trains on this process's slice of every batch."""
    options = parse_arguments()
    dist.init_process_group("gloo")  # "nccl" for GPUs
    rank, world = dist.get_rank(), dist.get_world_size()
    torch.manual_seed(1)
    train_it = make_iterator(options)
    train = TorchLoader(train_it)
    model = DistributedDataParallel(make_model(train_it.num_classes))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)

    step = 0
    if options.checkpoint.exists():
        saved = torch.load(options.checkpoint, weights_only=True)
        step = saved["step"]
        model.module.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        train.load_state_dict(saved["data"])  # the same one on every process
    if rank == 0:
        print(f"{world} processes, {len(train)} steps per epoch, begin at step {step}", flush=True)

    journal = None
    if options.journal is not None:
        options.journal.mkdir(parents=True, exist_ok=True)
        name = f"from-step-{step}-rank-{rank}-of-{world}.jsonl"
        journal = (options.journal / name).open("a", buffering=1)  # a line at a time

    for epoch in range(step // len(train), options.epochs):
        total = torch.zeros(2)
        for images, labels in train:  # after load_state_dict: the rest of the epoch
            total += train_step(model, optimizer, images, labels, world)
            step += 1
            if journal is not None:
                indices = train.batch_indices.tolist()
                journal.write(json.dumps({"epoch": epoch, "step": step, "indices": indices}) + "\n")
            if step % options.save_every == 0 and rank == 0:
                save(options.checkpoint, step, model, optimizer, train)
            time.sleep(options.pause)
        if rank == 0 and total[1]:
            print(f"epoch {epoch + 1}: loss {total[0] / total[1]:.3f}, step {step}", flush=True)
    if rank == 0:
        save(options.checkpoint, step, model, optimizer, train)
        print(f"done: {step} steps, {train_it.samples} pictures per epoch")
    dist.destroy_process_group()


def parse_arguments():
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Trains on several processes, and resumes.")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="your pictures: train/CLASS/")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32, help="of all processes together")
    parser.add_argument("--checkpoint", type=Path, default=Path("torchrun_resume.pt"))
    parser.add_argument("--save-every", type=int, default=4, metavar="STEPS")
    parser.add_argument("--journal", type=Path, metavar="FOLDER", help="what was trained on")
    parser.add_argument("--pause", type=float, default=0, help="seconds per step, to kill it in")
    return parser.parse_args()


def make_iterator(options):
    """Returns the iterator of this process: its slice of every batch."""
    if options.data is None and dist.get_rank() == 0:
        demo_data()
    dist.barrier()  # until the pictures are made
    processes_here = int(os.environ["LOCAL_WORLD_SIZE"])
    return ImageDataGenerator(rescale=1 / 255, horizontal_flip=True).flow_from_directory(
        (options.data or demo_data()) / "train",
        target_size=(64, 64),
        class_mode="sparse",
        batch_size=options.batch_size,
        seed=1,
        shard="auto",  # asks torch.distributed
        num_threads=max(1, len(os.sched_getaffinity(0)) // processes_here),
        verbose=dist.get_rank() == 0,
    )


def make_model(classes):
    """Returns a small network, for batches of any size, empty ones included."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, classes),
    )


def train_step(model, optimizer, images, labels, world):
    """Runs one step on a slice; returns the sum of losses and the number of images of the batch.

    Slices of the last batch differ in size and may be empty. DistributedDataParallel averages
    gradients over processes with equal weights, so the loss is scaled to make the result the mean
    over the images of the whole batch.
    """
    count = torch.tensor(float(len(images)))
    dist.all_reduce(count)
    loss = cross_entropy(model(images.permute(0, 3, 1, 2)), labels.long(), reduction="sum")
    optimizer.zero_grad()
    (loss * world / count).backward()
    optimizer.step()
    result = torch.stack([loss.detach(), count])
    dist.all_reduce(result[:1])
    return result


def save(path, step, model, optimizer, train):
    """Writes a checkpoint; a kill leaves the old or the new one, never a part."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        torch.save(
            {
                "step": step,
                "model": model.module.state_dict(),
                "optimizer": optimizer.state_dict(),
                "data": train.state_dict(),
            },
            file,
        )
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


if __name__ == "__main__":
    main()
