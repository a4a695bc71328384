"""The tiny language model: a character transformer of 0.15 million parameters that samples with a cache."""

import torch
from arithmetic import ALPHABET, ANSWER, PROMPT
from torch import nn
from torch.nn import functional

WIDTH, HEADS, LAYERS = 64, 4, 3
Cache = list[tuple[torch.Tensor, torch.Tensor]]  # keys and values of each layer, [T, HEADS, length, WIDTH / HEADS]


class Layer(nn.Module):
    """Causal attention and a perceptron, both normed before."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.norm_2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.all, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.wide, self.narrow = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: torch.Tensor, past: tuple[torch.Tensor, torch.Tensor] | None):
        t, length, _ = x.shape
        q, k, v = self.all(self.norm(x)).view(t, length, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        if past is not None:
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
        begin = k.shape[2] - length
        seen = torch.ones(length, k.shape[2], dtype=torch.bool).tril(begin) if begin and length > 1 else None
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen, is_causal=not begin)
        x = x + self.out(mixed.transpose(1, 2).reshape(t, length, WIDTH))
        return x + self.narrow(functional.gelu(self.wide(self.norm_2(x)))), (k, v)


class Transformer(nn.Module):
    """Logits of the next character."""

    def __init__(self) -> None:
        super().__init__()
        self.characters = nn.Embedding(len(ALPHABET), WIDTH)
        self.places = nn.Parameter(0.02 * torch.randn(PROMPT + ANSWER, WIDTH))
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, len(ALPHABET))

    def forward(self, characters: torch.Tensor, past: Cache | None = None) -> tuple[torch.Tensor, Cache]:
        begin = 0 if past is None else past[0][0].shape[2]
        x = self.characters(characters) + self.places[begin : begin + characters.shape[1]]
        cache: Cache = []
        for i, layer in enumerate(self.layers):
            x, kept = layer(x, None if past is None else past[i])
            cache.append(kept)
        return self.head(self.norm(x)), cache

    def log_probabilities(self, prompts: torch.Tensor, rows: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
        """Of each character of answers [T, ANSWER] to rows [T] of prompts [M, PROMPT]; a prompt is read once."""
        first, cache = self(prompts)
        others, _ = self(answers[:, :-1], [(k.index_select(0, rows), v.index_select(0, rows)) for k, v in cache])
        chosen = torch.cat([first[:, -1:].index_select(0, rows), others], dim=1).log_softmax(dim=-1)
        return chosen.gather(2, answers[:, :, None])[:, :, 0]

    @torch.no_grad()
    def sample(
        self, prompts: torch.Tensor, rows: torch.Tensor, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Answers to rows [T] of prompts [M, PROMPT] at temperature 1, and `log_probabilities`: [T, ANSWER] each."""
        logits, cache = self(prompts)
        logits, cache = logits[rows, -1], [(k[rows], v[rows]) for k, v in cache]
        drawn, logs = [], []
        for place in range(ANSWER):
            sure = logits.log_softmax(dim=-1)
            drawn.append(torch.multinomial(sure.exp(), 1, generator=generator))
            logs.append(sure.gather(1, drawn[-1]))
            if place < ANSWER - 1:
                logits, cache = self(drawn[-1], cache)
                logits = logits[:, -1]
        return torch.cat(drawn, dim=1), torch.cat(logs, dim=1)
