"""Other steps for the scheduler of flow models: along sigmas that were given, or from data to noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .k_diffusion.plan import prepared
from .k_diffusion.process import Process

if TYPE_CHECKING:
    from torch import Tensor

    from safelight.sdk import SampleRequest


def steered(scheduler: Any, request: SampleRequest) -> Any:
    """A scheduler (`FlowMatchEulerDiscreteScheduler`) that does what the request says about its steps.

    It is the same one where the request says nothing.
    """
    made = scheduler
    if request.sigmas:
        kind = type("FlowMatchGiven", (_Given, type(made)), {"given": request.sigmas})
        made = kind.from_config(made.config)
    if request.invert:
        kind = type("FlowMatchInverse", (_Inverse, type(made)), {"passes": request.invert})
        made = kind.from_config(made.config)
    return made


def processed(settings: Mapping[str, Any], request: SampleRequest) -> Any:
    """A scheduler (`FlowMatchEulerDiscreteScheduler`) that makes the steps of a `Process`, which it is as well."""
    import diffusers as library

    diffusers: Any = library
    kind: Any = type("FlowMatchProcess", (_Processed, diffusers.FlowMatchEulerDiscreteScheduler), {})
    made = kind(num_train_timesteps=1000)
    made.prepare(*prepared(settings, request))
    return made


class _Processed(Process):
    """Before a scheduler of diffusers in the order of classes: levels and steps are those of the process."""

    def set_timesteps(
        self: Any,
        num_inference_steps: int | None = None,
        device: Any = None,
        sigmas: Any = None,
        mu: float | None = None,
        timesteps: Any = None,
    ) -> None:
        import torch

        del num_inference_steps, sigmas, mu, timesteps
        self.sigmas = torch.stack([*(sigma for _, sigma in self.calls), self.along[-1]]).to(device)
        self.timesteps = torch.stack(self.told).float().to(device)
        self.num_inference_steps = len(self.timesteps)
        self._step_index = self._begin_index = None

    def step(
        self: Any, model_output: Tensor, timestep: Any, sample: Tensor, *_: Any, return_dict: bool = True, **__: Any
    ) -> Any:
        del return_dict  # all blocks ask for a tuple
        (reached,) = Process.step(self, model_output.float(), timestep, sample.float())
        self._step_index = self.call
        return (reached.to(sample.dtype),)


class _Given:
    """Before a scheduler of diffusers in the order of classes: the levels are `given`, and nothing shifts them."""

    given: tuple[float, ...]

    def set_timesteps(
        self: Any,
        num_inference_steps: int | None = None,
        device: Any = None,
        sigmas: Any = None,
        mu: float | None = None,
        timesteps: Any = None,
    ) -> None:
        import torch

        del num_inference_steps, sigmas, mu, timesteps
        self.sigmas = torch.tensor(self.given, dtype=torch.float32, device=device)
        self.timesteps = self.sigmas[:-1] * self.config.num_train_timesteps
        if self.config.get("use_flow_sigmas"):
            # As UniPC does with its own levels: it takes the logarithm of what is left of the image, which at 1 is
            # nothing, and tells the model whole times.
            self.sigmas[0] = min(float(self.sigmas[0]), 1 - 1e-6)
            self.timesteps = (self.sigmas[:-1] * self.config.num_train_timesteps).long()
        self.num_inference_steps = len(self.timesteps)
        self._step_index = self._begin_index = None


class _Inverse:
    """The levels the other way round: a step adds the flow, each made `passes` times with the flow at what it led to.

    The flow is asked for at the level that a step leads to, as the step down from there asks for it: so that the two
    undo one another once the passes have met.
    """

    passes: int

    def set_timesteps(
        self: Any,
        num_inference_steps: int | None = None,
        device: Any = None,
        sigmas: Any = None,
        mu: float | None = None,
        timesteps: Any = None,
    ) -> None:
        super().set_timesteps(num_inference_steps, device, sigmas=sigmas, mu=mu, timesteps=timesteps)  # type: ignore[misc]
        self.edges = [float(level) for level in self.sigmas.flip(0)]
        self.timesteps = self.timesteps.flip(0).repeat_interleave(self.passes)
        self.sigmas = self.sigmas[:-1].flip(0).repeat_interleave(self.passes)
        self.num_inference_steps = len(self.timesteps)
        self._step_index, self.base = 0, None

    def step(
        self: Any, model_output: Tensor, timestep: Any, sample: Tensor, *_: Any, return_dict: bool = True, **__: Any
    ) -> Any:
        del timestep, return_dict  # all blocks ask for a tuple
        place, again = divmod(self._step_index, self.passes)
        if not again:
            self.base = sample.float()
        reached = self.base + (self.edges[place + 1] - self.edges[place]) * model_output.float()
        self._step_index += 1
        return (reached.to(sample.dtype),)
