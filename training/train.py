"""Train the demo model: `python -m training.train --out training/out --minutes 20`."""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch.utils.data import DataLoader

from app.agent.dialects.autoglm import AUTOGLM
from app.virtual_phone.phone import Phone
from training.batches import Stream
from training.network import MEAN, MERGE, PATCH, STD, TEMPORAL, Batch, Trainee, build
from training.screens import Screen, system_prompt, walk
from training.tokenizer import save_tokenizer, train_tokenizer

WARM_UP_STEPS = 200


def corpus(phones: int = 300) -> list[str]:
    """The sentences of some walks: what the tokenizer learns its merges from."""
    choose, phone = random.Random("corpus"), Phone(0)
    lines = [system_prompt()]
    for seed in range(phones):
        for screen in walk(phone, choose, 2**41 + seed):
            lines += _sentences(screen)
    return lines


def _sentences(screen: Screen) -> list[str]:
    return [text for q in screen.questions for text in (q.user, q.reply)] + [
        AUTOGLM.user_text("", "Home", first=False)
    ]


def learning_rate(share: float, step: int, peak: float) -> float:
    """Linear warm-up, then a cosine to a fiftieth over the share of the time that has passed."""
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    return peak * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(share, 1.0))))


def save(trainee: Trainee, folder: Path) -> None:
    """Write the checkpoint in the form of a Hugging Face model folder."""
    trainee.model.save_pretrained(folder, safe_serialization=True)
    preprocessor = {
        "image_processor_type": "Glm4vImageProcessor",
        "image_mean": MEAN,
        "image_std": STD,
        "patch_size": PATCH,
        "merge_size": MERGE,
        "temporal_patch_size": TEMPORAL,
        "size": {"shortest_edge": 12544, "longest_edge": 9633792},
    }
    path = folder / "preprocessor_config.json"
    path.write_text(json.dumps(preprocessor, indent=1), encoding="utf-8")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("training/out"))
    parser.add_argument("--minutes", type=float, default=20, help="how long to train")
    parser.add_argument("--screens", type=int, default=24, help="screens per worker batch")
    parser.add_argument("--gather", type=int, default=1, help="worker batches per step")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw screens")
    parser.add_argument("--rate", type=float, default=1e-3, help="peak learning rate")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--resume", action="store_true", help="go on from --out")
    return parser.parse_args()


def main() -> None:
    arguments = parse_arguments()
    folder: Path = arguments.out / "hf"
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(arguments.seed)
    torch.set_float32_matmul_precision("high")
    if not (folder / "tokenizer.json").exists():
        save_tokenizer(train_tokenizer(corpus()), folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    trainee = Trainee(build(tokenizer.get_vocab_size(), tokenizer.get_vocab())).to(device)
    if arguments.resume:
        trainee.load_state_dict(torch.load(arguments.out / "trainee.pt", map_location=device))
    parameters = sum(p.numel() for p in trainee.model.parameters())
    print(f"{parameters / 1e6:.1f} million parameters on {device}", flush=True)
    train(trainee, folder, arguments, device)
    save(trainee, folder)
    torch.save(trainee.state_dict(), arguments.out / "trainee.pt")
    print(f"saved {folder}")


def train(
    trainee: Trainee, folder: Path, arguments: argparse.Namespace, device: torch.device
) -> None:
    decayed = [p for p in trainee.parameters() if p.ndim > 1]
    plain = [p for p in trainee.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.02}, {"params": plain, "weight_decay": 0.0}],
        betas=(0.9, 0.98),
        fused=device.type == "cuda",
    )
    loader = iter(
        DataLoader(
            Stream(folder, arguments.screens, arguments.seed),
            batch_size=None,
            num_workers=arguments.workers,
            prefetch_factor=4 if arguments.workers else None,
            pin_memory=device.type == "cuda",
        )
    )
    started, limit = time.monotonic(), arguments.minutes * 60
    sums, step, waited = torch.zeros(3, device=device), 0, 0.0
    while (passed := time.monotonic() - started) < limit:
        rate = learning_rate(passed / limit, step, arguments.rate)
        for group in optimizer.param_groups:
            group["lr"] = rate
        for _ in range(arguments.gather):
            asked = time.monotonic()
            batch: Batch = next(loader).to(device)
            waited += time.monotonic() - asked
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                reply_loss, cell_loss, right = trainee(batch)
            ((reply_loss + 0.5 * cell_loss) / arguments.gather).backward()
            sums += torch.stack([reply_loss, cell_loss, right]).detach() / arguments.gather
        torch.nn.utils.clip_grad_norm_(trainee.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        if step % 50 == 0:
            reply, cell, right_share = (sums / 50).tolist()
            print(
                f"step {step} {passed:.0f}s reply {reply:.4f} cells {cell:.4f} "
                f"right {right_share:.3f} rate {rate:.2e} waited {waited:.0f}s",
                flush=True,
            )
            sums.zero_()


if __name__ == "__main__":
    main()
