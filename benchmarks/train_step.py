"""How long one training step takes: a plain version of the model, ours, and the floor, in one run.

    python benchmarks/train_step.py [--pooling multitoken_vit flatten attention] [--repeats 5]

*plain*: what one would write first. nn.MultiheadAttention in both directions of the criss-cross and in the
alignment (whose query and key products then meet a single EEG token), the whole positional convolution, every
token through every layer of the head, an LMDB of pickled samples read one transaction each, AdamW as it comes,
`.item()` in each step. Same weights, so the same loss. *ours*: the package, data in place, gathered by index.
*general*: ours without the short cut of the temporal attention over one patch. *floor*: forward and backward
of ours, no more. The variants take turns, so that a busy machine slows all alike; medians. On a CUDA device
ours runs in bfloat16 and compiled, plain in float32.
"""

import argparse
import copy
import pickle
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import lmdb
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from brain2image.config import RunConfig
from brain2image.losses import AlignmentLoss
from brain2image.models.alignment import AlignmentModel
from brain2image.models.cbramod import CrissCrossLayer, PatchEmbedding, SelfAttention
from brain2image.optimisation import parameter_groups

N_CHANNELS, N_FEATURES, BATCH = 63, 4096, 64
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class PlainEmbedding(PatchEmbedding):
    """The patch embedding with the spectrum by FFT and all 19 x 7 kernel columns of the position."""

    def forward(self, x: Tensor) -> Tensor:
        waves = self.proj_in(x.flatten(1, 2).unsqueeze(1)).transpose(1, 2).reshape(x.shape)
        tokens = waves + self.spectral_proj(torch.fft.rfft(x, norm="forward").abs())
        return tokens + self.positional_encoding(tokens.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class PlainLayer(CrissCrossLayer):
    """The criss-cross layer with nn.MultiheadAttention; its parameters have the same names."""

    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout(0.1)
        self.self_attn_s = nn.MultiheadAttention(100, 4, dropout=0.1, batch_first=True)
        self.self_attn_t = nn.MultiheadAttention(100, 4, dropout=0.1, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        n_trials, n_channels, n_patches, _ = x.shape
        normed = self.norm1(x)
        s = normed[..., :100].transpose(1, 2).reshape(n_trials * n_patches, n_channels, 100)
        t = normed[..., 100:].reshape(n_trials * n_channels, n_patches, 100)
        s, t = self.self_attn_s(s, s, s, need_weights=False)[0], self.self_attn_t(t, t, t, need_weights=False)[0]
        s = s.reshape(n_trials, n_patches, n_channels, 100).transpose(1, 2)
        x = x + self.dropout(torch.cat((s, t.reshape(n_trials, n_channels, n_patches, 100)), dim=-1))
        hidden = self.dropout(nn.functional.gelu(self.linear1(self.norm2(x))))
        return x + self.dropout(self.linear2(hidden))


class PlainTransformerLayer(nn.TransformerEncoderLayer):
    """A layer of the multitoken_vit head that computes every token and then leaves most of them out."""

    def forward(self, tokens: Tensor, n_outputs: int | None = None) -> Tensor:
        return super().forward(tokens)[:, :n_outputs]


class PlainAlignment(nn.MultiheadAttention):
    """Multi-head attention of the fMRI query over the EEG tokens, all four projections."""

    def forward(self, query: Tensor, tokens: Tensor) -> Tensor:
        return super().forward(query, tokens, tokens, need_weights=False)[0]


def plain_version(ours: AlignmentModel) -> AlignmentModel:
    """The plain model with the weights of ours."""
    plain, state, alignment = copy.deepcopy(ours), ours.state_dict(), ours.alignment
    plain.backbone.patch_embedding = PlainEmbedding()
    plain.backbone.encoder["layers"] = nn.ModuleList(PlainLayer() for _ in ours.backbone.encoder["layers"])
    if hasattr(ours.head, "layers"):
        options = {"dropout": 0.1, "activation": "gelu", "batch_first": True, "norm_first": True}
        layers = (PlainTransformerLayer(200, 8, 800, **options) for _ in ours.head.layers)
        plain.head.layers = nn.ModuleList(layers)
    plain.alignment = PlainAlignment(N_FEATURES, alignment.n_heads, dropout=0.1, batch_first=True)
    plain.load_state_dict(state, strict=False)
    with torch.no_grad():
        plain.alignment.in_proj_weight[-N_FEATURES:] = alignment.value.weight
        plain.alignment.in_proj_bias[-N_FEATURES:] = alignment.value.bias
    plain.alignment.out_proj.load_state_dict(alignment.output.state_dict())
    return plain


class PickledSamples(Dataset):
    """An LMDB with a pickled dictionary for each sample, read in a transaction each."""

    def __init__(self, path: str, data: dict[str, Tensor]):
        self.env, self.n_samples = lmdb.open(path, map_size=2**32), len(data["pairs"])
        with self.env.begin(write=True) as transaction:
            for row in range(self.n_samples):
                sample = {name: values[row].cpu().numpy() for name, values in data.items()}
                transaction.put(str(row).encode(), pickle.dumps(sample))

    def __len__(self) -> int:
        return self.n_samples

    def __getitem__(self, row: int) -> dict:
        with self.env.begin() as transaction:
            return pickle.loads(transaction.get(str(row).encode()))


def forward(model: nn.Module, loss: AlignmentLoss, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    predictions = model(batch["eeg"], query=batch["targets"])
    return loss(predictions.float(), batch["targets"], batch["pairs"], batch["clusters"])


def steps(run: RunConfig, folder: str) -> tuple[dict[str, Callable[[], None]], float]:
    """A function for one step of each variant, and how far the losses of plain and ours lie apart."""
    torch.manual_seed(0)
    ours, loss = AlignmentModel(run.model, N_CHANNELS, N_FEATURES).to(DEVICE), AlignmentLoss(run.loss).to(DEVICE)
    ours.eeg_scale.fill_(0.01)
    plain = plain_version(ours).to(DEVICE)
    data = {
        "eeg": 20 * torch.randn(4 * BATCH, N_CHANNELS, 200, device=DEVICE),
        "targets": torch.randn(4 * BATCH, N_FEATURES, device=DEVICE),
        "pairs": torch.arange(4 * BATCH, device=DEVICE) // 4,
        "clusters": torch.arange(4 * BATCH, device=DEVICE) // 4 % 5,
    }
    batch = {name: values[:BATCH] for name, values in data.items()}
    losses = [forward(model.eval(), loss, batch)["loss"].item() for model in (plain, ours)]
    plain.train(), ours.train()
    plain_optimizer = torch.optim.AdamW(plain.parameters())
    optimizer = torch.optim.AdamW(parameter_groups(ours, loss, run), fused=True)
    fast = torch.compile(ours) if DEVICE.type == "cuda" else ours
    loader = iter([]) 
    samples = DataLoader(PickledSamples(folder, data), BATCH, shuffle=True)

    def plain_step() -> None:
        nonlocal loader
        batch = next(loader, None)
        if batch is None:
            loader = iter(samples)
            batch = next(loader)
        terms = forward(plain, loss, {name: values.to(DEVICE) for name, values in batch.items()})
        plain_optimizer.zero_grad()
        terms["loss"].backward()
        nn.utils.clip_grad_norm_(plain.parameters(), run.training.gradient_clip)
        plain_optimizer.step()
        [term.item() for term in terms.values()]

    def floor_step() -> None:
        with torch.autocast("cuda", torch.bfloat16, enabled=DEVICE.type == "cuda"):
            terms = forward(fast, loss, batch)
        terms["loss"].backward()

    def our_step() -> None:
        rows = torch.randint(len(data["pairs"]), (BATCH,), device=DEVICE)
        with torch.autocast("cuda", torch.bfloat16, enabled=DEVICE.type == "cuda"):
            terms = forward(fast, loss, {name: values[rows] for name, values in data.items()})
        optimizer.zero_grad()
        terms["loss"].backward()
        nn.utils.clip_grad_norm_(ours.parameters(), run.training.gradient_clip)
        optimizer.step()

    def general_step() -> None:
        short_cut, SelfAttention._attend_one = SelfAttention._attend_one, SelfAttention._attend
        our_step()
        SelfAttention._attend_one = short_cut

    return {"plain": plain_step, "ours": our_step, "general": general_step, "floor": floor_step}, abs(losses[0] - losses[1])


def seconds(step: Callable[[], None]) -> float:
    start = time.perf_counter()
    step()
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    """Measure and print one Markdown row a head."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pooling", nargs="+", default=["multitoken_vit", "flatten", "attention"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print("| head | plain, s | ours, s | ours / plain | general, s | floor, s | losses differ by |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for pooling in arguments.pooling:
        with tempfile.TemporaryDirectory() as folder:
            variants, difference = steps(RunConfig(model={"pooling": pooling}), folder)
            times = [{name: seconds(step) for name, step in variants.items()} for _ in range(arguments.repeats + 1)]
        medians = {name: statistics.median(row[name] for row in times[1:]) for name in variants}
        print("| {} | {plain:.3f} | {ours:.3f} | {:.2f} | {general:.3f} | {floor:.3f} | {:.1e} |".format(pooling, medians["ours"] / medians["plain"], difference, **medians), flush=True)


if __name__ == "__main__":
    main()
