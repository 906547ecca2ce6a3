"""How diffusion models are run: the denoising loop, samplers, schedules, guidance, tiling and noise.

Public: a pack may import it. Nothing here knows a model family; see `safelight.families` for them.
"""
