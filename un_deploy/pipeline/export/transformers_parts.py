"""The parts of a transformers model that generates text, each with flat caches by name.

    decoder          first    input_ids, attention_mask -> logits, present_*
                     step     input_ids, past_* -> logits, present_*
    encoder-decoder  encoder  input_ids, attention_mask -> encoder_hidden_states
                     first    decoder_input_ids, attention_mask, encoder_hidden_states
                              -> logits, present_*
                     step     decoder_input_ids, attention_mask, past_* -> logits, present_self_*

``past_NAME`` is the last ``present_NAME``: keys and values of every layer (``key_0``, ``value_0``,
...; of an encoder-decoder ``self_key_0``, ..., and ``cross_key_0``, ... of the source), and of a
decoder ``attention_mask``, which is 0 where the cache holds padding. A step takes one token of each
row. models/search.py goes by these names.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from copy import copy
from functools import partial
from itertools import count, takewhile
from typing import Any

import torch
from torch import Tensor, nn

from un_deploy.errors import InputError
from un_deploy.pipeline.export.forward import outputs_of

ROWS, TOKENS = 2, 8
"""Of the example inputs."""

Tensors = dict[str, Tensor]


def generates(module: nn.Module) -> bool:
    """Whether it is a model of transformers, of a class with a head that generates."""
    library: Any = sys.modules.get("transformers")
    return (
        library is not None
        and isinstance(module, library.PreTrainedModel)
        and bool(module.can_generate())
    )


def transformers_parts(model: Any) -> dict[str, nn.Module]:
    """The parts by name, in the order in which they run; they share the model's weights.

    Raises:
        InputError: the model reads no tokens, fails, or keeps something else than keys and values.
    """
    kind = type(model).__name__
    if model.main_input_name != "input_ids":
        raise InputError(f"{kind} reads {model.main_input_name}; parts read tokens")
    try:
        return _translating(model) if model.config.is_encoder_decoder else _writing(model)
    except InputError as error:
        raise InputError(f"{kind} has no parts with keys and values as caches: {error}") from error


def _text(model: Any) -> Tensors:
    ids = torch.randint(
        model.config.get_text_config().vocab_size,
        (ROWS, TOKENS),
        generator=torch.Generator().manual_seed(0),
    )
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def _writing(model: Any) -> dict[str, nn.Module]:
    text = _text(model)
    first = _part(model, _first, text)
    step = _part(model, _step, {"input_ids": text["input_ids"][:, :1], **_past(first)})
    return {"first": first, "step": step}


def _translating(model: Any) -> dict[str, nn.Module]:
    text = _text(model)
    ids, source = text["input_ids"], {"attention_mask": text["attention_mask"]}
    encoder = _part(model, _encoder, text)
    states = outputs_of(encoder, text)
    start = _part(model, _start, {"decoder_input_ids": ids[:, :3], **source, **states})
    step = _part(model, _go_on, {"decoder_input_ids": ids[:, :1], **source, **_past(start)})
    return {"encoder": encoder, "first": start, "step": step}


def _part(model: Any, compute: Callable[..., Tensors], examples: Tensors) -> Any:
    """The model, whose forward is ``compute(model, **inputs)``: all parts keep their names."""
    part = copy(model)
    part.forward = partial(compute, model)
    part.example_inputs = lambda: dict(examples)
    part.dynamic_axes = {name: _axes(name, tensor) for name, tensor in examples.items()}
    return part


def _axes(name: str, tensor: Tensor) -> dict[int, str]:
    """Tokens are axis 1 of a mask and axis 2 of a cache; the token of a step is always one."""
    if name.endswith("input_ids") and tensor.shape[1] == 1:
        return {0: "batch"}
    of_target = {"decoder_input_ids": "target"}
    past = name.startswith("past_") and not name.startswith("past_cross_")
    return {0: "batch", tensor.ndim // 2: "past" if past else of_target.get(name, "sequence")}


def _first(model: Any, input_ids: Tensor, attention_mask: Tensor) -> Tensors:
    return _decoded(model, _cache(), input_ids, attention_mask, _places(attention_mask))


def _step(model: Any, input_ids: Tensor, past_attention_mask: Tensor, **past: Tensor) -> Tensors:
    mask = torch.cat([past_attention_mask, torch.ones_like(input_ids)], 1)
    return _decoded(model, _cache(past), input_ids, mask, _places(mask)[:, -1:])


def _places(mask: Tensor) -> Tensor:
    """Counted as generate() does: padding in front of a row has no place."""
    return (mask.cumsum(1) - 1).clamp(min=0)


def _decoded(
    model: Any, cache: Any, input_ids: Tensor, attention_mask: Tensor, places: Tensor
) -> Tensors:
    inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
    if "position_ids" in inspect.signature(model.forward).parameters:
        inputs["position_ids"] = places
    logits = _logits(model, cache, **inputs)
    return {"logits": logits, "present_attention_mask": attention_mask, **_present(cache)}


def _encoder(model: Any, **text: Tensor) -> Tensors:
    return {"encoder_hidden_states": model.get_encoder()(**text)[0]}


def _start(model: Any, encoder_hidden_states: Tensor, **inputs: Tensor) -> Tensors:
    own, source = _cache(), _cache()
    logits = _translated(model, own, source, encoder_hidden_states, **inputs)
    return {"logits": logits, **_present(own, "self_"), **_present(source, "cross_")}


def _go_on(
    model: Any, decoder_input_ids: Tensor, attention_mask: Tensor, **past: Tensor
) -> Tensors:
    own = _cache(past, "self_")
    # Of the states nothing but the shape is read: the source's keys and values are known.
    states = attention_mask[..., None].to(past["past_self_key_0"].dtype)
    states = states.expand(-1, -1, model.config.get_text_config().hidden_size)
    logits = _translated(
        model,
        own,
        _cache(past, "cross_"),
        states,
        decoder_input_ids=decoder_input_ids,
        attention_mask=attention_mask,
    )
    return {"logits": logits, **_present(own, "self_")}


def _translated(model: Any, own: Any, source: Any, states: Tensor, **inputs: Tensor) -> Tensor:
    from transformers import EncoderDecoderCache
    from transformers.modeling_outputs import BaseModelOutput

    of_source = BaseModelOutput(last_hidden_state=states)
    return _logits(model, EncoderDecoderCache(own, source), encoder_outputs=of_source, **inputs)


def _logits(model: Any, cache: Any, **inputs: Any) -> Tensor:
    # Its newer name is that of transformers from 5.2x on.
    takes = inspect.signature(model.forward).parameters
    name = "cache" if "cache" in takes else "past_key_values"
    logits: Tensor = model(**inputs, **{name: cache}, use_cache=True).logits
    return logits


def _cache(past: Tensors | None = None, kind: str = "") -> Any:
    """transformers' cache of whole sequences, empty or with a past."""
    from transformers import DynamicCache

    if past is None:
        return DynamicCache()
    layers = takewhile(lambda layer: f"past_{kind}key_{layer}" in past, count())
    return DynamicCache(
        [(past[f"past_{kind}key_{n}"], past[f"past_{kind}value_{n}"]) for n in layers]
    )


def _present(cache: Any, kind: str = "") -> Tensors:
    """Keys and values of all layers by name.

    Raises:
        InputError: a layer has none.
    """
    named: Tensors = {}
    for number, layer in enumerate(cache.layers):
        for what, tensor in (("key", layer.keys), ("value", layer.values)):
            if tensor is None or tensor.ndim != 4:
                raise InputError(f"layer {number} keeps no {what}s: such caches are not known")
            named[f"present_{kind}{what}_{number}"] = tensor
    if not named:
        raise InputError("the model keeps no keys and values")
    return named


def _past(part: Any) -> Tensors:
    """What a part gives of its examples, by the names that the next takes."""
    found = outputs_of(part, part.example_inputs())
    return {
        f"past_{name.removeprefix('present_')}": tensor
        for name, tensor in found.items()
        if name.startswith("present_")
    }
