"""Sampling as k-diffusion does it, and ComfyUI after it: over sigmas, with a denoiser that gives the finished latent.

The mathematics of Karras et al. 2022 (https://arxiv.org/abs/2206.00364): schedules over the sigmas that the model was
trained with (`levels`, `schedules`), steps from one sigma to the next (`steps`, `stochastic`, `two_stages`, `unipc`),
and the object that makes them in the loops of this house (`process`). Beside the schedulers of diffusers, which
the other samplers are made of, so that a document that names these formulas means them bit for bit, and one that does
not keeps its own.
"""
