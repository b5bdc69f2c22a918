"""GPN (Benegas et al. 2023): dilated convolutions over single letters, in two published forms.

The first (`model_type` "ConvNet", as gpn-brassicales) convolves the residual stream at full width
and norms each branch at its end. The later one (`model_type` "GPN" with the encoder "bytenet", as
gpn-animal-promoter) convolves between two linear layers, as ByteNet (Kalchbrenner et al. 2016)
does, and norms before each. Original: legacy.py and ss/ of the package gpn (songlab-cal/gpn). No
mask reaches the original; given one here, padding behind a record has no effect.

Letters of shapes: B batch, L length, D width, M width of the convolution, W its taps.
"""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jaxtyping import Bool, Float, Float32, Int

from model_ports.contract.family import FINAL, Hidden, Inputs
from model_ports.contract.fields import COUNTS, ROWS, Fields
from model_ports.contract.weights import Ignored, Weight, linear_weights, norm_weights
from model_ports.layers.convolutions import dilated_offsets, offset_convolution
from model_ports.layers.dense import ACTIVATIONS, embed, layer_norm, linear
from model_ports.layers.stacking import scan_layers, stack_layers

_EPSILON = 1e-5  # of all norms, whatever config.json says of `layer_norm_eps`
_gelu = ACTIVATIONS["gelu"]

BATCHING = "masked"

# Features of an alignment come in beside the letters; models of a single sequence have none.
FIXED = {"n_aux_features": 0}

# Dropouts, heads and their losses. The later form's class is derived from RoFormer's, whose fields
# it writes and leaves to the encoder "roformer"; the width of that and of the encoder "convnet",
# `intermediate_size`, is not read by "bytenet".
UNUSED = (
    "aux_features_vocab_size", "hidden_dropout_prob", "hidden_act", "classification_head",
    "mlm_head_transform", "pos_weight", "regression_softplus", "intermediate_size",
    "attention_probs_dropout_prob", "embedding_size", "layer_norm_eps", "max_position_embeddings",
    "num_attention_heads", "rotary_value", "type_vocab_size", "is_decoder",
)  # fmt: skip


@dataclass(frozen=True)
class Config:
    """The fields of config.json that the computation depends on.

    Attributes:
        vocab_size: Ids of tokens.
        width: Of the hidden states.
        inner: Width of the convolutions between two linear layers; None: the first form, which
            has no such layers.
        kernels: Taps of the first convolution and of all others.
        dilations: Of the convolution of each layer.
        depthwise: Whether all convolutions but the first see each channel by itself.
        bias: Whether linear layers, convolutions and norms have biases.
        table: Whether ids are looked up in a table; otherwise a 1 stands in the column of the id.
    """

    vocab_size: int
    width: int
    inner: int | None
    kernels: tuple[int, int]
    dilations: tuple[int, ...]
    depthwise: bool
    bias: bool
    table: bool

    @property
    def max_tokens(self) -> int | None:
        """The longest input in tokens: None, as there are no positions."""
        return None

    @property
    def layers(self) -> int:
        """The number of blocks."""
        return len(self.dilations)

    @property
    def stacks(self) -> list[range]:
        """The layers of each kind: the later form's first layer has a kernel of another shape."""
        if self.inner is None:
            return [range(self.layers)]
        return [stack for stack in (range(1), range(1, self.layers)) if stack]

    @classmethod
    def from_json(cls, fields: Fields) -> "Config":
        """Returns the config that a checkpoint's config.json states.

        Raises:
            FieldError: A field is missing, malformed, or asks for what is not computed here.
        """
        fields.check(FIXED)
        rows = fields.count("vocab_size", most=ROWS)
        width = fields.count("hidden_size")
        if fields.choice("model_type", among=("ConvNet", "GPN")) == "ConvNet":
            taps = fields.count("kernel_size", most=COUNTS, absent=9)
            found = cls(
                vocab_size=rows,
                width=width,
                inner=None,
                kernels=(taps, taps),
                dilations=_dilations(fields, fields.count("n_layers", most=COUNTS), 32, 6),
                depthwise=False,
                bias=True,
                table=False,
            )
        else:
            fields.choice("encoder", among=("bytenet",), absent="convnet")
            slim = fields.flag("slim", absent=False)
            if slim and width < 2:
                raise fields.refuse("hidden_size", "it must be at least 2, as slim halves it")
            kinds = ("one_hot", "embedding")
            found = cls(
                vocab_size=rows,
                width=width,
                inner=width // 2 if slim else width,
                kernels=(
                    fields.count("first_kernel_size", most=COUNTS, absent=9),
                    fields.count("rest_kernel_size", most=COUNTS, absent=5),
                ),
                dilations=_dilations(
                    fields, fields.count("num_hidden_layers", most=COUNTS), 9999, 8
                ),
                depthwise=fields.flag("depthwise", absent=False),
                bias=fields.flag("bias", absent=False),
                table=fields.choice("embedding", among=kinds, absent="one_hot") == "embedding",
            )
        if not found.table and rows > width:
            raise fields.refuse("vocab_size", f"each id needs a column of hidden_size, {width}")
        return found


def _dilations(fields: Fields, layers: int, most: int, cycle: int) -> tuple[int, ...]:
    """Returns the dilation of each layer: powers of a base that rise in a cycle, up to a limit.

    Args:
        fields: The fields of config.json.
        layers: How many there are.
        most: The limit where none is stated.
        cycle: The layers of a cycle where none are stated.
    """
    most = fields.count("dilation_max", most=ROWS, absent=most)
    base = fields.count("dilation_base", most=COUNTS, absent=2)
    cycle = fields.count("dilation_cycle", most=COUNTS, absent=cycle)
    repeats = fields.count("dilation_double_every", most=COUNTS, absent=1)
    return tuple(min(most, base ** (i % cycle // repeats)) for i in range(layers))


class Convolution(nnx.Module):
    """A dilated convolution that sees zeros beyond the ends of a record."""

    def __init__(
        self, width: int, taps: int, *, depthwise: bool = False, bias: bool, rngs: nnx.Rngs
    ):
        shape = (taps, 1 if depthwise else width, width)
        self.kernel = nnx.Param(nnx.initializers.normal(0.02)(rngs.params(), shape))
        self.bias = nnx.Param(jnp.zeros(width)) if bias else None

    def __call__(
        self,
        x: Float[Array, "B L M"],
        mask: Bool[Array, "B L"] | None,
        offsets: Int[Array, " W"],
        reach: int,
    ) -> Float[Array, "B L M"]:
        if mask is not None:
            x = jnp.where(mask[..., None], x, 0)
        y = offset_convolution(x, self.kernel[...], offsets, reach)
        return y if self.bias is None else y + self.bias[...]


class WideBlock(nnx.Module):
    """The first form: convolution and linear layer, with GELU and norm, each with a residual."""

    def __init__(self, config: Config, *, first: bool, rngs: nnx.Rngs):
        width, taps = config.width, config.kernels[0 if first else 1]
        self.convolution = Convolution(width, taps, bias=config.bias, rngs=rngs)
        self.convolution_norm = layer_norm(width, _EPSILON, rngs=rngs)
        self.linear = linear(width, width, rngs=rngs)
        self.linear_norm = layer_norm(width, _EPSILON, rngs=rngs)

    def __call__(
        self,
        x: Float32[Array, "B L D"],
        mask: Bool[Array, "B L"] | None,
        offsets: Int[Array, " W"],
        reach: int,
    ) -> Float32[Array, "B L D"]:
        dtype = self.linear.kernel.dtype
        y = _gelu(self.convolution(x.astype(dtype), mask, offsets, reach))
        x = x + self.convolution_norm(y).astype(jnp.float32)
        y = _gelu(self.linear(x.astype(dtype)))
        return x + self.linear_norm(y).astype(jnp.float32)


class NarrowBlock(nnx.Module):
    """The later form: a convolution between two linear layers, a norm and GELU before each."""

    def __init__(self, config: Config, *, first: bool, rngs: nnx.Rngs):
        width, inner, bias = config.width, config.inner or config.width, config.bias
        depthwise = config.depthwise and not first
        self.narrow_norm = layer_norm(width, _EPSILON, bias=bias, rngs=rngs)
        self.narrow = linear(width, inner, bias=bias, rngs=rngs)
        self.convolution_norm = layer_norm(inner, _EPSILON, bias=bias, rngs=rngs)
        self.convolution = Convolution(
            inner, config.kernels[0 if first else 1], depthwise=depthwise, bias=bias, rngs=rngs
        )
        self.widen_norm = layer_norm(inner, _EPSILON, bias=bias, rngs=rngs)
        self.widen = linear(inner, width, bias=bias, rngs=rngs)

    def __call__(
        self,
        x: Float32[Array, "B L D"],
        mask: Bool[Array, "B L"] | None,
        offsets: Int[Array, " W"],
        reach: int,
    ) -> Float32[Array, "B L D"]:
        y = self.narrow(_gelu(self.narrow_norm(x).astype(self.narrow.kernel.dtype)))
        y = self.convolution(_gelu(self.convolution_norm(y)), mask, offsets, reach)
        return x + self.widen(_gelu(self.widen_norm(y))).astype(jnp.float32)


class Model(nnx.Module):
    """The encoder, from token ids to hidden states; the residual stream is float32."""

    def __init__(self, config: Config, *, rngs: nnx.Rngs):
        self.config = config
        if config.table:
            self.tokens = embed(config.vocab_size, config.width, rngs=rngs)
        block = WideBlock if config.inner is None else NarrowBlock
        self.stacks = nnx.List(
            stack_layers(
                lambda rngs, first=0 in stack: block(config, first=first, rngs=rngs),
                len(stack),
                rngs,
            )
            for stack in config.stacks
        )
        if config.inner is not None:
            self.norm = layer_norm(config.width, _EPSILON, bias=config.bias, rngs=rngs)

    def __call__(self, inputs: Inputs, taps: tuple[int, ...] = (FINAL,)) -> Hidden:
        ids, mask = inputs["input_ids"], inputs.get("attention_mask")
        length, config = ids.shape[1], self.config
        x = self.tokens(ids) if config.table else jax.nn.one_hot(ids, config.width)
        x = x.astype(jnp.float32)
        states = {0: x} if 0 in taps else {}
        for layers, stack in zip(config.stacks, self.stacks, strict=True):
            taken = config.kernels[0 if 0 in layers else 1]
            offsets = np.array([dilated_offsets(taken, config.dilations[i]) for i in layers])
            # From the length on, whatever the distance is, nothing but zeros lies there.
            offsets = np.clip(offsets, -length, length).astype(np.int32)
            reach = int(np.abs(offsets).max())
            done = layers.start
            x, found = scan_layers(
                stack,
                x,
                lambda block, x, offsets, reach=reach: block(x, mask, offsets, reach),
                tuple(tap - done for tap in taps if tap - 1 in layers),
                (jnp.asarray(offsets),),
            )
            states |= {done + tap: state for tap, state in found.items()}
        return Hidden(states | {FINAL: x if config.inner is None else self.norm(x)})


def weights(config: Config) -> tuple[Weight | Ignored, ...]:
    """Returns where each tensor of the checkpoint goes."""
    head = Ignored(r"cls\..*", "head of the masked letters")
    if config.inner is None:
        layer, stack = "model.encoder.{}", "stacks.0"
        return (
            Weight(f"{layer}.conv.1.weight", f"{stack}.convolution.kernel", lambda w: w.T),
            Weight(f"{layer}.conv.1.bias", f"{stack}.convolution.bias"),
            *linear_weights({f"{layer}.ffn.0": f"{stack}.linear"}),
            *norm_weights(
                {
                    f"{layer}.conv.4": f"{stack}.convolution_norm",
                    f"{layer}.ffn.2": f"{stack}.linear_norm",
                }
            ),
            head,
        )
    layer, rules = "model.encoder.layer.{}.layer", []
    for number, layers in enumerate(config.stacks):
        stack = f"stacks.{number}"
        linears = {f"{layer}.2": f"{stack}.narrow", f"{layer}.10": f"{stack}.widen"}
        norms = {
            f"{layer}.0": f"{stack}.narrow_norm",
            f"{layer}.3": f"{stack}.convolution_norm",
            f"{layer}.8": f"{stack}.widen_norm",
        }
        convolution = [Weight(f"{layer}.6.weight", f"{stack}.convolution.kernel", lambda w: w.T)]
        if config.bias:
            convolution.append(Weight(f"{layer}.6.bias", f"{stack}.convolution.bias"))
        of_layer = (
            *linear_weights(linears, bias=config.bias),
            *norm_weights(norms, bias=config.bias),
            *convolution,
        )
        rules += [replace(rule, only=frozenset(layers)) for rule in of_layer]
    if config.table:
        rules.append(Weight("model.embeddings.word_embeddings.weight", "tokens.embedding"))
    return (*rules, *norm_weights({"model.ln_f": "norm"}, bias=config.bias), head)


SHARDING = (
    (r"stacks\.\d\.convolution\.kernel", (None, None, None, "model")),
    (r"stacks\.\d\.(linear|narrow|widen)\.kernel", (None, "model", None)),
)

FLOAT32 = ()

TINY = {
    "hidden_size": 32,
    "n_layers": 3,
    "num_hidden_layers": 3,
}
