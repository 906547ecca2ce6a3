"""The methods by their names."""

from __future__ import annotations

from typing import Literal

from . import single, stochastic, two_stages, unipc
from .step import Method

KSampler = Literal[
    "euler",
    "euler_ancestral",
    "heun",
    "dpm2",
    "dpm2_ancestral",
    "lms",
    "ddim",
    "ddpm",
    "lcm",
    "ipndm",
    "dpmpp_2m",
    "dpmpp_2m_sde",
    "dpmpp_2m_sde_heun",
    "dpmpp_3m_sde",
    "dpmpp_sde",
    "dpmpp_2s_ancestral",
    "unipc",
    "unipc_bh2",
    "res_multistep",
    "res_multistep_ancestral",
    "gradient_estimation",
    "er_sde",
    "seeds_2",
]

METHODS: dict[str, Method] = {
    "euler": Method(single.euler),
    "euler_ancestral": Method(stochastic.euler_ancestral, "fresh"),
    "heun": Method(two_stages.heun),
    "dpm2": Method(two_stages.dpm2, skips_last=True),
    "dpm2_ancestral": Method(two_stages.dpm2_ancestral, "fresh", skips_last=True),
    "lms": Method(single.lms),
    # DDIM without noise is Euler's method over sigma: Karras et al. 2022, appendix C.
    "ddim": Method(single.euler, masked="other"),
    "ddpm": Method(stochastic.ddpm, "fresh"),
    "lcm": Method(stochastic.lcm, "fresh"),
    "ipndm": Method(single.ipndm),
    "dpmpp_2m": Method(single.dpmpp_2m),
    "dpmpp_2m_sde": Method(stochastic.dpmpp_2m_sde, "brownian", by_snr=True),
    "dpmpp_2m_sde_heun": Method(stochastic.dpmpp_2m_sde_heun, "brownian", by_snr=True),
    "dpmpp_3m_sde": Method(stochastic.dpmpp_3m_sde, "brownian", by_snr=True),
    "dpmpp_sde": Method(two_stages.dpmpp_sde, "brownian", by_snr=True),
    "dpmpp_2s_ancestral": Method(two_stages.dpmpp_2s_ancestral, "fresh"),
    "unipc": Method(unipc.bh1, skips_last=True),
    "unipc_bh2": Method(unipc.bh2, skips_last=True),
    "res_multistep": Method(single.res_multistep),
    "res_multistep_ancestral": Method(single.res_multistep_ancestral, "fresh"),
    "gradient_estimation": Method(single.gradient_estimation),
    "er_sde": Method(stochastic.er_sde, "fresh", by_snr=True),
    "seeds_2": Method(two_stages.seeds_2, "fresh", by_snr=True),
}
