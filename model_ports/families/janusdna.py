"""JanusDNA (Duan et al. 2025): two causal Mamba streams, a mixture of experts, and an attention
that lets each position see everything but itself.

Letters of shapes: B batch, L length, D width; a 2 in front stands for the two streams.

The record runs forwards in one stream and turned around in the other. The streams share the
mixers' projections and no other parameter, and they meet in the last attention. Padding is part
of the model: it is fixed to one length, and only the attention in the middle has a mask. Original:
the Janus-DNA repository's modeling_janusdna.py.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Bool, Float

from model_ports.contract.family import FINAL, Hidden, Inputs
from model_ports.contract.fields import COUNTS, ROWS, Fields, Stated
from model_ports.contract.weights import Ignored, Weight, linear_weights, norm_weights
from model_ports.layers.attention import attend, split_heads
from model_ports.layers.dense import embed, linear
from model_ports.layers.mamba import SelectiveMixer
from model_ports.layers.stacking import scan_mixed, stack_layers

# Sizes of the mixers, which the configuration class has under `mamba_`; `ssm_cfg` is not read.
_STATES, _CONVOLUTION, _EXPAND, _RANK_SHARE = 16, 4, 2, 16
_VOCABULARY_MULTIPLE = 8

BATCHING = "fixed"

# The other ways of the original, and its defaults. (`bidirectional` is the text "true," in the
# authors' files.)
FIXED = {
    "config.bidirectional": ("true,", True),
    "config.bidirectional_strategy": "add",
    "config.bidirectional_weight_tie": True,
    "config.bidirectional_attn_tie": False,
    "config.mid_single_direction_attention": Stated(True),
    "config.final_attention": Stated(True),
    "config.final_attention_class": "flex_attention",
    "config.flexattn_fullattn": False,
    "config.attention_mask": False,
    "config.is_causal": True,
    "config.sliding_window": None,
    "config.layer_fusion": False,
    "config.multistep_ks": [1],
    "config.hidden_act": "silu",
    "config.mamba_d_state": _STATES,
    "config.mamba_d_conv": _CONVOLUTION,
    "config.mamba_expand": _EXPAND,
    "config.mamba_dt_rank": "auto",
    "config.mamba_conv_bias": True,
    "config.mamba_proj_bias": False,
    "config.pad_vocab_size_multiple": _VOCABULARY_MULTIPLE,
}

# Kernels and dropouts; the loss of the router and what is returned; the heads; what `layer_fusion`
# would do; and fields that the configuration class does not read, such as `ssm_cfg`.
UNUSED = tuple(
    f"config.{name}"
    for name in (
        "attn_implementation", "use_mamba_kernels", "attention_dropout", "gradient_checkpointing",
        "initializer_range", "intermediate_factor", "layer_fusion_strategy", "num_logits_to_keep",
        "output_hidden_states", "output_router_logits", "return_dict", "router_aux_loss_coef",
        "ssm_cfg", "max_position_embeddings", "pad_token_id", "phenotypes_size",
        "tie_word_embeddings", "use_cache",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """The fields of config.json, of its object `config`, that the computation depends on."""

    vocab_size: int
    width: int
    feed_forward: int
    layers: int
    heads: int
    experts: int
    chosen: int
    attention_layers: frozenset[int]
    expert_layers: frozenset[int]
    final_head_width: int
    epsilon: float

    @property
    def max_tokens(self) -> int | None:
        """The longest input in tokens: None, as there is no position table."""
        return None

    @property
    def kinds(self) -> dict[str, list[int]]:
        """The layer numbers of each kind of layer that there is, by mixer and feed-forward."""
        found: dict[str, list[int]] = {}
        for layer in range(self.layers):
            mixer = "attention" if layer in self.attention_layers else "mamba"
            after = "experts" if layer in self.expert_layers else "dense"
            found.setdefault(f"{mixer}_{after}", []).append(layer)
        return found

    @classmethod
    def from_json(cls, fields: Fields) -> "Config":
        """Returns the config that a checkpoint's config.json states.

        Raises:
            FieldError: A field is missing, malformed, or asks for what is not computed here.
        """
        fields.check(FIXED)
        width = fields.count("config.hidden_size")
        heads = fields.divisor("config.num_attention_heads", of="config.hidden_size", whole=width)
        if not fields.unset("config.num_key_value_heads"):
            groups = fields.count("config.num_key_value_heads", most=COUNTS)
            if groups != heads:
                mend = f"only that of num_attention_heads, {heads}, is computed here"
                raise fields.refuse("config.num_key_value_heads", mend)
        layers = fields.count("config.num_hidden_layers", most=COUNTS)
        experts = fields.count("config.num_experts", most=COUNTS)
        rows = fields.count("config.vocab_size", most=ROWS)
        final = fields.count("config.flex_attn_n_embd", least=width)
        if final % heads:
            raise fields.refuse("config.flex_attn_n_embd", f"it must be a multiple of {heads}")

        def periodic(name: str) -> frozenset[int]:
            period = fields.count(f"config.{name}_layer_period", most=COUNTS)
            offset = fields.count(f"config.{name}_layer_offset", least=0, most=COUNTS)
            return frozenset(i for i in range(layers) if i % period == offset)

        return cls(
            vocab_size=math.ceil(rows / _VOCABULARY_MULTIPLE) * _VOCABULARY_MULTIPLE,
            width=width,
            feed_forward=fields.count("config.intermediate_size"),
            layers=layers,
            heads=heads,
            experts=experts,
            chosen=fields.count("config.num_experts_per_tok", most=experts),
            attention_layers=periodic("attn"),
            expert_layers=periodic("expert"),
            final_head_width=final // heads,
            epsilon=fields.number("config.rms_norm_eps"),
        )


def _norm(config: Config, rngs: nnx.Rngs) -> nnx.RMSNorm:
    return nnx.RMSNorm(config.width, epsilon=config.epsilon, rngs=rngs)


class Dense(nnx.Module):
    """SwiGLU feed-forward."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.gate = linear(config.width, config.feed_forward, bias=False, rngs=rngs)
        self.up = linear(config.width, config.feed_forward, bias=False, rngs=rngs)
        self.down = linear(config.feed_forward, config.width, bias=False, rngs=rngs)

    def __call__(self, x: Float[Array, "B L D"]) -> Float[Array, "B L D"]:
        return self.down(jax.nn.silu(self.gate(x)) * self.up(x))


class Experts(nnx.Module):
    """The `chosen` likeliest experts of each token, weighted by their probability as it is.

    All experts are computed and the others weighted by 0: no token is dropped, and with this
    width the products are cheaper than a gather.
    """

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.chosen = config.chosen
        self.router = linear(config.width, config.experts, bias=False, rngs=rngs)
        self.experts = stack_layers(lambda rngs: Dense(config, rngs=rngs), config.experts, rngs)

    def __call__(self, x: Float[Array, "B L D"]) -> Float[Array, "B L D"]:
        likely = jax.nn.softmax(self.router(x.astype(jnp.float32)), axis=-1)
        _, index = jax.lax.top_k(likely, self.chosen)
        picked = jnp.sum(jax.nn.one_hot(index, likely.shape[-1]), axis=-2)
        weight = jnp.moveaxis(likely * picked, -1, 0).astype(x.dtype)

        @nnx.scan(in_axes=(nnx.Carry, 0, 0), out_axes=nnx.Carry)
        def add(total: Array, expert: Dense, weight: Array) -> Array:
            return total + weight[..., None] * expert(x)

        return add(jnp.zeros_like(x), self.experts, weight)


class Attention(nnx.Module):
    """Causal attention without positions; a token that the mask hides gets 0."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        width = config.width
        self.heads = config.heads
        self.query = linear(width, width, bias=False, rngs=rngs)
        self.key = linear(width, width, bias=False, rngs=rngs)
        self.value = linear(width, width, bias=False, rngs=rngs)
        self.output = linear(width, width, bias=False, rngs=rngs)

    def __call__(self, x: Float[Array, "B L D"], mask: Bool[Array, "B L"]) -> Float[Array, "B L D"]:
        parts = (split_heads(part(x), self.heads) for part in (self.query, self.key, self.value))
        mixed = attend(*parts, mask, causal=True)  # pyright: ignore (three parts)
        return self.output(mixed) * mask[..., None].astype(x.dtype)


class Stream(nnx.Module):
    """The norms, the mixer and the feed-forward that one direction has in a layer."""

    def __init__(self, config: Config, mixer: nnx.Module, experts: bool, *, rngs: nnx.Rngs):
        self.mixer_norm = _norm(config, rngs)
        self.mixer = mixer
        self.feed_forward_norm = _norm(config, rngs)
        self.feed_forward = (Experts if experts else Dense)(config, rngs=rngs)


class MambaLayer(nnx.Module):
    """Mamba in both streams, whose mixers share their projections."""

    def __init__(self, config: Config, experts: bool, *, rngs: nnx.Rngs):
        inner = _EXPAND * config.width
        rank = math.ceil(config.width / _RANK_SHARE)

        def stream() -> Stream:
            mixer = SelectiveMixer(inner, _STATES, rank, _CONVOLUTION, config.epsilon, rngs=rngs)
            return Stream(config, mixer, experts, rngs=rngs)

        self.input = linear(config.width, 2 * inner, bias=False, rngs=rngs)
        self.output = linear(inner, config.width, bias=False, rngs=rngs)
        self.forward, self.backward = stream(), stream()

    def __call__(
        self, x: Float[Array, "2 B L D"], mask: Bool[Array, "B L"]
    ) -> Float[Array, "2 B L D"]:
        del mask
        return jnp.stack([self._run(self.forward, x[0]), self._run(self.backward, x[1])])

    def _run(self, stream: Stream, x: Float[Array, "B L D"]) -> Float[Array, "B L D"]:
        u, gate = jnp.split(self.input(stream.mixer_norm(x)), 2, axis=-1)
        x = x + self.output(stream.mixer(u).astype(u.dtype) * jax.nn.silu(gate))
        return x + stream.feed_forward(stream.feed_forward_norm(x))


class AttentionLayer(nnx.Module):
    """Attention in both streams.

    The mask is that of the record as it stands for the stream that is turned around too, as the
    original has it: there it hides the last tokens, which are the record's.
    """

    def __init__(self, config: Config, experts: bool, *, rngs: nnx.Rngs):
        def stream() -> Stream:
            return Stream(config, Attention(config, rngs=rngs), experts, rngs=rngs)

        self.forward, self.backward = stream(), stream()

    def __call__(
        self, x: Float[Array, "2 B L D"], mask: Bool[Array, "B L"]
    ) -> Float[Array, "2 B L D"]:
        return jnp.stack(
            [self._run(self.forward, x[0], mask), self._run(self.backward, x[1], mask)]
        )

    def _run(
        self, stream: Stream, x: Float[Array, "B L D"], mask: Bool[Array, "B L"]
    ) -> Float[Array, "B L D"]:
        x = x + stream.mixer(stream.mixer_norm(x), mask)
        return x + stream.feed_forward(stream.feed_forward_norm(x))


class FinalBlock(nnx.Module):
    """Attention over both streams in natural order, one behind the other, and a feed-forward."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        width = config.width
        self.config = config
        self.mixer_norm = _norm(config, rngs)
        self.query = linear(width, width, bias=False, rngs=rngs)
        self.key = linear(width, width, bias=False, rngs=rngs)
        self.value = linear(width, width, bias=False, rngs=rngs)
        self.output = linear(width, width, bias=False, rngs=rngs)
        self.feed_forward_norm = _norm(config, rngs)
        self.feed_forward = Dense(config, rngs=rngs)

    def __call__(self, x: Float[Array, "B L D"]) -> Float[Array, "B L D"]:
        y = self.mixer_norm(x)
        query, key, value = (
            split_heads(part(y), self.config.heads) for part in (self.query, self.key, self.value)
        )
        # The original widens the heads with zeros, which changes the scale alone.
        query = query * math.sqrt(query.shape[-1] / self.config.final_head_width)
        allowed = without_itself(x.shape[1] // 2)
        x = x + self.output(attend(query, key, value, None, allowed=allowed))
        return x + self.feed_forward(self.feed_forward_norm(x))


def without_itself(length: int) -> Bool[Array, "2*{length} 2*{length}"]:
    """Returns which of 2 L tokens (row) may see which (column).

    Position p of the forward half sees forward 0 .. p and backward p + 2 ..; of the backward
    half, backward p .. and forward .. p - 2.
    """
    position = jnp.tile(jnp.arange(length), 2)
    half = jnp.repeat(jnp.arange(2), length)
    i, j = position[:, None], position[None, :]
    forward, same = half[:, None] == 0, half[:, None] == half[None, :]
    return jnp.where(
        forward, jnp.where(same, j <= i, j >= i + 2), jnp.where(same, j >= i, j <= i - 2)
    )


class Model(nnx.Module):
    """The encoder, from token ids to hidden states; `attention_mask` is required.

    The state of a tap inside holds both streams in natural order side by side, [B, L, 2 D].
    """

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        self.tokens = embed(config.vocab_size, config.width, rngs=rngs)
        for kind, layers in config.kinds.items():
            mixer, after = kind.split("_")
            layer = {"mamba": MambaLayer, "attention": AttentionLayer}[mixer]
            stack = stack_layers(
                lambda rngs, layer=layer, experts=after == "experts": layer(
                    config, experts, rngs=rngs
                ),
                len(layers),
                rngs,
            )
            setattr(self, kind, stack)
        self.final = FinalBlock(config, rngs=rngs)
        self.norm = _norm(config, rngs)

    def __call__(self, inputs: Inputs, taps: tuple[int, ...] = (FINAL,)) -> Hidden:
        ids, mask = inputs["input_ids"], inputs["attention_mask"]
        x = self.tokens(ids)
        kinds = self.config.kinds
        found = {
            layer: (kind, index)
            for kind, layers in enumerate(kinds.values())
            for index, layer in enumerate(layers)
        }
        order = [found[layer] for layer in range(self.config.layers)]
        stacks = [getattr(self, kind) for kind in kinds]
        both = jnp.stack([x, x[:, ::-1]])
        both, states = scan_mixed(stacks, order, both, lambda layer, x: layer(x, mask), taps)
        states = {
            tap: jnp.concatenate([forward, backward[:, ::-1]], axis=-1)
            for tap, (forward, backward) in states.items()
        }
        joined = self.final(jnp.concatenate([both[0], both[1][:, ::-1]], axis=1))
        forward, backward = jnp.split(joined, 2, axis=1)
        # Position p takes what the streams know at its neighbours: never token p itself.
        fused = jnp.pad(forward[:, :-1], ((0, 0), (1, 0), (0, 0)))
        fused += jnp.pad(backward[:, 1:], ((0, 0), (0, 1), (0, 0)))
        # The extractor replaces the last feed-forward by the identity: x + x.
        return Hidden(states | {FINAL: 2 * self.norm(fused)})


def _linears(source: str, path: str, names: Mapping[str, str]) -> tuple[Weight, ...]:
    paths = {f"{source}.{theirs}": f"{path}.{ours}" for theirs, ours in names.items()}
    return linear_weights(paths, bias=False)


_DENSE = {"gate_proj": "gate", "up_proj": "up", "down_proj": "down"}
_QKV = {"q_proj": "query", "k_proj": "key", "v_proj": "value"}


def _stream(kind: str, source: str, suffix: str, path: str) -> list[Weight]:
    """Returns the rules of one direction of a kind of layer."""
    mixer, after = kind.split("_")
    feed = f"{source}.feed_forward_{suffix}"
    rules = [
        Weight(f"{source}.input_layernorm_{suffix}.weight", f"{path}.mixer_norm.scale"),
        Weight(f"{source}.pre_ff_layernorm_{suffix}.weight", f"{path}.feed_forward_norm.scale"),
    ]
    if after == "experts":
        rules += [
            *_linears(feed, f"{path}.feed_forward", {"router": "router"}),
            *_linears(f"{feed}.experts.{{}}", f"{path}.feed_forward.experts", _DENSE),
        ]
    else:
        rules += _linears(feed, f"{path}.feed_forward", _DENSE)
    if mixer == "attention":
        names = _QKV | {"o_proj": "output"}
        return [*rules, *_linears(f"{source}.self_attn_{suffix}", f"{path}.mixer", names)]
    here = f"{source}.mamba_{'fwd' if suffix == 'fwd' else 'rev'}"
    norms = {
        f"{here}.{name}_layernorm": f"{path}.mixer.norms.{i}"
        for i, name in enumerate(("dt", "b", "c"))
    }
    return [
        *rules,
        *norm_weights(norms, bias=False),
        Weight(f"{here}.conv1d.weight", f"{path}.mixer.kernel", lambda w: w[:, 0]),
        Weight(f"{here}.conv1d.bias", f"{path}.mixer.bias"),
        *linear_weights({f"{here}.x_proj": f"{path}.mixer.project"}, bias=False),
        *linear_weights({f"{here}.dt_proj": f"{path}.mixer.step"}),
        Weight(f"{here}.A_log", f"{path}.mixer.log_decay"),
        Weight(f"{here}.D", f"{path}.mixer.skip"),
    ]


def weights(config: Config) -> tuple[Weight | Ignored, ...]:
    """Returns where each tensor of the checkpoint goes."""
    model = "model.model"
    final = f"{model}.final_attention"
    norms = {
        f"{model}.final_layernorm": "norm",
        f"{final}.input_layernorm": "final.mixer_norm",
        f"{final}.pre_ff_layernorm": "final.feed_forward_norm",
    }
    rules: list[Weight | Ignored] = [
        Weight(f"{model}.embed_tokens.weight", "tokens.embedding"),
        *norm_weights(norms, bias=False),
        *_linears(f"{final}.self_attn", "final", _QKV | {"o_projs.0": "output"}),
        *_linears(f"{final}.feed_forward", "final.feed_forward", _DENSE),
        Ignored(
            r"(.*)\.mamba_rev\.(in|out)_proj\.weight",
            "shared with the forward direction",
            same=r"\1.mamba_fwd.\2_proj.weight",
        ),
        Ignored(r"model\.lm_head\.weight", "language-model head"),
        Ignored(r"(train|val|test)_torchmetrics\..*", "counters of the training"),
    ]
    for kind, layers in config.kinds.items():
        module = "attn" if kind.startswith("attention") else "mamba_module"
        source = f"{model}.layers.{{}}.{module}"
        of_kind = [
            *_stream(kind, source, "fwd", f"{kind}.forward"),
            *_stream(kind, source, "bwd", f"{kind}.backward"),
        ]
        if module == "mamba_module":
            of_kind += linear_weights({f"{source}.mamba_fwd.in_proj": f"{kind}.input"}, bias=False)
            of_kind += linear_weights(
                {f"{source}.mamba_fwd.out_proj": f"{kind}.output"}, bias=False
            )
        rules += [replace(rule, only=frozenset(layers)) for rule in of_kind]
    return tuple(rules)


SHARDING = ()  # two million active parameters: replicated

# Which expert is chosen jumps with the last digits of the router's input.
FLOAT32 = (r".*",)

TINY = {"config": {"hidden_size": 32, "intermediate_size": 64, "num_experts": 4}}
