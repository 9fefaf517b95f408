"""CBraMod, the criss-cross EEG encoder of Wang et al. (ICLR 2025, https://arxiv.org/abs/2412.07236).

Parameters carry the published names, so that the published weights load as they are.
"""

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from brain2image.config import ModelConfig
from brain2image.core.errors import InputError
from brain2image.models.dropout import Dropout, drop_heads
from brain2image.models.encoders.base import EEGLayout, Encoder
from brain2image.models.published_weights import check_weights, read_weights

SFREQ = 200.0  # Hz
N_PATCH_TIMES = 200  # samples of one patch, 1 s
TOKEN_WIDTH = 200  # features of one patch's token
N_HEADS = 8  # half of them attend over channels, half over patches
N_FEEDFORWARD = 800
N_PUBLISHED_LAYERS = 12
DROPOUT = 0.1
CLASSIFIER = "final_layer."  # in the file of braindecode
MEND = (
    "download pretrained_weights.pth of weighting666/CBraMod or model.safetensors of "
    "braindecode/cbramod-pretrained from Hugging Face"
)


class SelfAttention(nn.Module):
    """Multi-head self-attention over the last but one axis, with the parameters of nn.MultiheadAttention."""

    def __init__(self, n_features: int, n_heads: int):
        super().__init__()
        self.n_heads = n_heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * n_features, n_features))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * n_features))
        self.out_proj = nn.Linear(n_features, n_features)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Attend; ``x`` and the result are (..., n_tokens, n_features)."""
        attended = self._attend_one(x) if x.shape[-2] == 1 else self._attend(x)
        return self.out_proj(attended)

    def _attend(self, x: Tensor) -> Tensor:
        projected = F.linear(x, self.in_proj_weight, self.in_proj_bias)
        query, key, value = (
            rearrange(part, "... tokens (heads width) -> ... heads tokens width", heads=self.n_heads)
            for part in projected.chunk(3, dim=-1)
        )
        dropout = DROPOUT if self.training else 0.0
        heads = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        return rearrange(heads, "... heads tokens width -> ... tokens (heads width)")

    def _attend_one(self, x: Tensor) -> Tensor:
        weight, bias = self.in_proj_weight.chunk(3)[2], self.in_proj_bias.chunk(3)[2]
        return drop_heads(F.linear(x, weight, bias), self.n_heads, rate=DROPOUT, training=self.training)


class CrissCrossLayer(nn.Module):
    """Pre-norm transformer layer: half of the features attends over channels, half over patches."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attn_s = SelfAttention(TOKEN_WIDTH // 2, N_HEADS // 2)
        self.self_attn_t = SelfAttention(TOKEN_WIDTH // 2, N_HEADS // 2)
        self.linear1 = nn.Linear(TOKEN_WIDTH, N_FEEDFORWARD)
        self.linear2 = nn.Linear(N_FEEDFORWARD, TOKEN_WIDTH)
        self.norm1 = nn.LayerNorm(TOKEN_WIDTH)
        self.norm2 = nn.LayerNorm(TOKEN_WIDTH)
        self.dropout = Dropout(DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        """Apply one layer; ``x`` and the result are (n_trials, n_channels, n_patches, 200)."""
        over_channels, over_patches = self.norm1(x).chunk(2, dim=-1)
        spatial = rearrange(over_channels, "trials channels patches width -> trials patches channels width")
        spatial = self.self_attn_s(spatial)
        spatial = rearrange(spatial, "trials patches channels width -> trials channels patches width")
        temporal = self.self_attn_t(over_patches)
        x = x + self.dropout(torch.cat((spatial, temporal), dim=-1))
        hidden = self.dropout(F.gelu(self.linear1(self.norm2(x))))
        return x + self.dropout(self.linear2(hidden))


class PatchEmbedding(nn.Module):
    """One token a patch: a convolution in time, the amplitude spectrum, and a conditional position."""

    def __init__(self) -> None:
        super().__init__()
        # Only the pretraining by reconstruction reads it; it is here because the published file has it.
        self.mask_encoding = nn.Parameter(torch.zeros(N_PATCH_TIMES), requires_grad=False)
        self.positional_encoding = nn.Sequential(
            nn.Conv2d(TOKEN_WIDTH, TOKEN_WIDTH, (19, 7), padding=(9, 3), groups=TOKEN_WIDTH)
        )
        self.proj_in = nn.Sequential(
            *(nn.Conv2d(1, 25, (1, 49), stride=(1, 25), padding=(0, 24)), nn.GroupNorm(5, 25), nn.GELU()),
            *(nn.Conv2d(25, 25, (1, 3), padding=(0, 1)), nn.GroupNorm(5, 25), nn.GELU()),
            *(nn.Conv2d(25, 25, (1, 3), padding=(0, 1)), nn.GroupNorm(5, 25), nn.GELU()),
        )
        self.spectral_proj = nn.Sequential(nn.Linear(N_PATCH_TIMES // 2 + 1, TOKEN_WIDTH), Dropout(DROPOUT))

    def forward(self, x: Tensor) -> Tensor:
        """Embed patches; ``x`` and the result are (n_trials, n_channels, n_patches, 200)."""
        rows = rearrange(x, "trials channels patches times -> trials 1 (channels patches) times")
        pattern = "trials kernels (channels patches) times -> trials channels patches (kernels times)"
        waves = rearrange(self.proj_in(rows), pattern, patches=x.shape[2])
        amplitudes = torch.fft.rfft(x, norm="forward").abs()
        tokens = waves + self.spectral_proj(amplitudes)
        return tokens + self._position(tokens)

    def _position(self, tokens: Tensor) -> Tensor:
        convolution = self.positional_encoding[0]
        assert isinstance(convolution, nn.Conv2d)
        # Kernel columns that would only ever meet the zero padding are left out: with one patch, 6 of 7.
        reach = min(tokens.shape[2] - 1, 3)
        position = F.conv2d(
            rearrange(tokens, "trials channels patches width -> trials width channels patches"),
            convolution.weight[..., 3 - reach : 4 + reach],
            convolution.bias,
            padding=(9, reach),
            groups=TOKEN_WIDTH,
        )
        return rearrange(position, "trials width channels patches -> trials channels patches width")


class CBraMod(nn.Module):
    """The published network; replace ``proj_out`` by nn.Identity to use the encoder's own output.

    Parameters
    ----------
    n_layers : criss-cross layers; 12 as published.
    """

    def __init__(self, n_layers: int = N_PUBLISHED_LAYERS):
        super().__init__()
        self.patch_embedding = PatchEmbedding()
        self.encoder = nn.ModuleDict({"layers": nn.ModuleList(CrissCrossLayer() for _ in range(n_layers))})
        self.proj_out: nn.Module = nn.Sequential(nn.Linear(TOKEN_WIDTH, N_PATCH_TIMES))

    def forward(self, eeg: Tensor) -> Tensor:
        """Encode EEG patches.

        Parameters
        ----------
        eeg : (n_trials, n_channels, n_patches, 200) float32 at 200 Hz, microvolts / 100.

        Returns
        -------
        (n_trials, n_channels, n_patches, 200) float32
        """
        tokens = self.patch_embedding(eeg)
        for layer in self.encoder["layers"].children():
            tokens = layer(tokens)
        return self.proj_out(tokens)

    def load_pretrained(self, path: str | Path) -> "CBraMod":
        """Take over published weights and return the model itself.

        They are ``pretrained_weights.pth`` of weighting666/CBraMod or ``model.safetensors`` of
        braindecode/cbramod-pretrained (Hugging Face). With fewer than 12 layers the first ones are taken.

        Raises
        ------
        InputError
            When the file is missing, holds no weights, other keys or shapes than the published 211, or NaN.
        """
        weights, _ = read_published(path)
        self.load_state_dict({name: weights[name] for name in self.state_dict()})
        return self


def read_published(path: str | Path) -> tuple[dict[str, Tensor], int]:
    """Read the 211 published tensors, and how many more the file has of braindecode's classifier."""
    origin: dict[str, Any] = {"model": "CBraMod", "remedy": MEND}
    found = read_weights(path, **origin)
    weights = {name: value for name, value in found.items() if not name.startswith(CLASSIFIER)}
    with torch.device("meta"):
        published = {name: value.shape for name, value in CBraMod().state_dict().items()}
    check_weights(weights, published, source=path, **origin)
    return weights, len(found) - len(weights)


class CBraModEncoder(Encoder):
    """CBraMod without the layer that served the reconstruction of its pretraining: a token a patch.

    The scale is that of its pretraining, microvolts / 100, where typical values have a root mean square of
    0.1 to 0.3 (section 3.1 of the paper, and its preprocessing code).

    Raises
    ------
    InputError
        When trials are not whole seconds at 200 Hz.
    """

    options = ("n_layers", "pretrained", "layer_decay")
    fixed_width = TOKEN_WIDTH
    microvolts = 100.0
    rms = 0.2

    def __init__(self, layout: EEGLayout, model: ModelConfig):
        if layout.sfreq != SFREQ or layout.n_times % N_PATCH_TIMES:
            raise InputError(
                f"encoder cbramod: expected EEG at {SFREQ:g} Hz and a multiple of {N_PATCH_TIMES} samples a "
                f"trial, got {layout.n_times} at {layout.sfreq:g} Hz"
            )
        super().__init__(layout.n_channels * layout.n_times // N_PATCH_TIMES, TOKEN_WIDTH)
        self.network = CBraMod(model.n_layers)
        self.network.proj_out = nn.Identity()

    def forward(self, eeg: Tensor) -> Tensor:
        """Encode EEG (n_trials, n_channels, n_times) as tokens (n_trials, n_tokens, token_width)."""
        patches = rearrange(
            eeg, "trials channels (patches times) -> trials channels patches times", times=N_PATCH_TIMES
        )
        return rearrange(
            self.network(patches), "trials channels patches width -> trials (channels patches) width"
        )

    def layers(self) -> list[nn.Module]:
        """Return the patch embedding and the criss-cross layers."""
        return [self.network.patch_embedding, *self.network.encoder["layers"].children()]

    def read_published(self, path: str | Path) -> tuple[dict[str, Tensor], dict[str, int]]:
        """Read the published weights of its layers."""
        published, n_classifier = read_published(path)
        own = self.network.state_dict()
        n_reconstruction = sum(name.startswith("proj_out.") for name in published)
        left_out = {
            "the classifier of braindecode": n_classifier,
            "the reconstruction of the pretraining": n_reconstruction,
            "layers after model.n_layers": len(published) - n_reconstruction - len(own),
        }
        weights = {f"network.{name}": published[name] for name in own}
        return weights, {reason: number for reason, number in left_out.items() if number}


ENCODER = CBraModEncoder
