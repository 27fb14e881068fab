"""Training with Ray Train on two workers; a failed worker is restarted and the run continues.

    python examples/ray_train.py [--data FOLDER] [--epochs N] [--fail-at STEP]

--fail-at makes a worker fail once. Ray restarts the workers, which resume from the position in the
data that Ray's checkpoint holds beside the model.
"""

import argparse
import json
import tempfile
from pathlib import Path

import ray
import ray.train
import torch
from make_data import demo_data
from ray.train.torch import TorchTrainer, prepare_model
from torch import nn
from torch.nn.functional import cross_entropy

from pyloader import ImageDataGenerator
from pyloader.integrations.torch import TorchLoader

WORKERS = 2
SAVE_EVERY = 4


def train_on_worker(config):
    """Trains on one worker. Ray has initialized torch.distributed before."""
    rank = ray.train.get_context().get_world_rank()
    train_it = ImageDataGenerator(rescale=1 / 255, horizontal_flip=True).flow_from_directory(
        config["folder"],
        target_size=(64, 64),
        class_mode="sparse",
        batch_size=32,  # of both workers together
        seed=1,
        shard="auto",  # asks torch.distributed
        last_batch="drop",  # so that all slices have one size
        num_threads=1,
        verbose=False,
    )
    train = TorchLoader(train_it, ray.train.torch.get_device())
    torch.manual_seed(1)
    model = prepare_model(make_model(train_it.num_classes))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)

    step = began = 0
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as folder:
            saved = torch.load(Path(folder) / "model.pt", weights_only=True)
            model.load_state_dict(saved["model"])
            optimizer.load_state_dict(saved["optimizer"])
            position = json.loads((Path(folder) / "position.json").read_text())
            step = began = position["step"]
            train.load_state_dict(position["data"])  # the same one on every worker

    for epoch in range(step // len(train), config["epochs"]):
        for images, labels in train:  # after load_state_dict: the rest of the epoch
            loss = cross_entropy(model(images.permute(0, 3, 1, 2)), labels.long())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            last = step == config["epochs"] * len(train)
            if step % SAVE_EVERY == 0 or last:
                metrics = {"loss": loss.item(), "epoch": epoch + 1, "step": step, "began": began}
                report(rank, metrics, model, optimizer, train)
            if step == config["fail_at"] and checkpoint is None and rank == 0:
                raise RuntimeError("a worker failed, as --fail-at asks")


def make_model(classes):
    """Returns a small network."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, classes),
    )


def report(rank, metrics, model, optimizer, train):
    """Reports metrics to Ray; the first worker adds a checkpoint."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = None
        if rank == 0:
            states = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            torch.save(states, Path(folder) / "model.pt")
            position = {"step": metrics["step"], "data": train.state_dict()}
            (Path(folder) / "position.json").write_text(json.dumps(position))
            checkpoint = ray.train.Checkpoint.from_directory(folder)
        ray.train.report(metrics, checkpoint=checkpoint)


def main():
    """Starts Ray on this machine and trains."""
    parser = argparse.ArgumentParser(description="Trains with Ray Train on two workers.")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="your pictures: train/CLASS/")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--fail-at", type=int, metavar="STEP", help="let a worker fail once")
    parser.add_argument("--storage", type=Path, help="where Ray keeps its checkpoints")
    options = parser.parse_args()
    folder = (options.data or demo_data()).resolve() / "train"
    storage = options.storage or Path(tempfile.mkdtemp(prefix="ray-train-"))

    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False)
    trainer = TorchTrainer(
        train_on_worker,
        train_loop_config={
            "folder": str(folder),
            "epochs": options.epochs,
            "fail_at": options.fail_at,
        },
        scaling_config=ray.train.ScalingConfig(num_workers=WORKERS),
        run_config=ray.train.RunConfig(
            name="pictures",
            storage_path=str(storage.resolve()),
            failure_config=ray.train.FailureConfig(max_failures=1),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=2),
        ),
    )
    result = trainer.fit()
    last = result.metrics
    print(
        f"Ray {ray.__version__}: {WORKERS} workers, {last['epoch']} epochs, {last['step']} steps, "
        f"loss {last['loss']:.3f}; the last workers began at step {last['began']}"
    )
    ray.shutdown()


if __name__ == "__main__":
    main()
