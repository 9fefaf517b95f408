"""The model as one would write it first, with the weights of ours; `train_step.py` compares the two."""

import copy
import pickle

import lmdb
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from brain2image.models.alignment import AlignmentModel
from brain2image.models.encoders.cbramod import CrissCrossLayer, PatchEmbedding


class PlainEmbedding(PatchEmbedding):
    """The patch embedding with all 19 x 7 kernel columns of the position."""

    def _position(self, tokens: Tensor) -> Tensor:
        return self.positional_encoding(tokens.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


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
        s, _ = self.self_attn_s(s, s, s, need_weights=False)
        t, _ = self.self_attn_t(t, t, t, need_weights=False)
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
    n_features = len(ours.target_mean)
    plain.encoder.network.patch_embedding = PlainEmbedding()
    layers = plain.encoder.network.encoder
    layers["layers"] = nn.ModuleList(PlainLayer() for _ in layers["layers"])
    if hasattr(ours.head, "layers"):
        options = {"dropout": 0.1, "activation": "gelu", "batch_first": True, "norm_first": True}
        layers = (PlainTransformerLayer(200, 8, 800, **options) for _ in ours.head.layers)
        plain.head.layers = nn.ModuleList(layers)
    plain.alignment = PlainAlignment(n_features, alignment.n_heads, dropout=0.1, batch_first=True)
    plain.load_state_dict(state, strict=False)
    with torch.no_grad():
        plain.alignment.in_proj_weight[-n_features:] = alignment.value.weight
        plain.alignment.in_proj_bias[-n_features:] = alignment.value.bias
    plain.alignment.out_proj.load_state_dict(alignment.output.state_dict())
    return plain


class PickledSamples(Dataset):
    """An LMDB with a pickled dictionary for each sample, read in a transaction each."""

    def __init__(self, path: str, data: dict[str, Tensor]):
        self.env, self.n_samples = lmdb.open(path, map_size=2**30), len(data["pairs"])
        with self.env.begin(write=True) as transaction:
            for row in range(self.n_samples):
                sample = {name: values[row].cpu().numpy() for name, values in data.items()}
                transaction.put(str(row).encode(), pickle.dumps(sample))

    def __len__(self) -> int:
        return self.n_samples

    def __getitem__(self, row: int) -> dict:
        with self.env.begin() as transaction:
            return pickle.loads(transaction.get(str(row).encode()))
