"""Wrong uses of nodes that a type checker must find. Never run; each wrong line names the rule that must catch it."""

from __future__ import annotations

from safelight import Builder
from safelight_nodes import models, sampling, text, vae

graph = Builder("planted")
loaded = graph.add(models.load, model="starter", ctx=graph.ctx)
prompt = graph.add(text.encode, loaded.text, text="a red apple", ctx=graph.ctx)

graph.add(text.encode, loaded.vae, text="a red apple", ctx=graph.ctx)  # wrong model kind
graph.add(vae.decode, loaded.model, prompt, ctx=graph.ctx)  # wrong model kind, wrong type
graph.add(text.encode, loaded.text, text=3, ctx=graph.ctx)  # wrong type
graph.add(text.encode, loaded.text, txet="a", ctx=graph.ctx)  # no such port
graph.add(sampling.sample, loaded.model, prompt, prompt, prompt, ctx=graph.ctx)  # a prompt for a latent
sampling.sample(loaded.vae, prompt, prompt, prompt, sampler="eular", ctx=graph.ctx)  # wrong kind, type and choice
