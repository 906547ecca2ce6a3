"""What the denoisers of videos share: latents with an axis of time, made of noise alone, and frames that are given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safelight.sdk import Latent, Problem, ProblemError, Shown

from .denoiser import Work
from .guided import GuidedDenoiser

if TYPE_CHECKING:
    from torch import Tensor

    from safelight.sdk.leased import SampleRequest


class VideoDenoiser(GuidedDenoiser):
    axes = 5
    takes = "latents of videos", "latent.empty_video"

    def inputs(self, work: Work) -> dict[str, Any]:
        # The blocks ask for both; without guidance the second is not looked at.
        found = self.said(work, work.positive)
        unsaid = self.said(work, work.negative or work.positive)
        return found | {f"negative_{name}": tensor for name, tensor in unsaid.items()}

    def _start(self, work: Work, size: tuple[int, int]) -> dict[str, Any]:
        frames = (work.noise.shape[2] - 1) * self.family.latent.frames + 1
        return {**super()._start(work, size), "num_frames": frames}

    def first_cell(self, shown: Shown) -> Tensor:
        """The latent (1, C, 1, h, w) of the first frame that is shown."""
        return shown.planes[:, self.family.latent.frames :, :1]

    def shows_last(self, shown: Shown) -> bool:
        return bool(shown.planes[0, : self.family.latent.frames, 1:].any())

    def _refuse(self, request: SampleRequest) -> None:
        super()._refuse(request)
        if not request.fresh:
            hint = "Let denoise be 1: the video is made of noise alone."
            raise ProblemError(self.cannot("videos to start from", hint, "latent"))
        if request.positive.shown is not None:
            self.refuse_frames(request.positive.shown, request.latent)

    def refuse_frames(self, shown: Shown, latent: Latent) -> None:
        """Raises ProblemError for frames that do not fit the latent or the transformer."""
        wanted = (self.family.latent.frames + latent.samples.shape[1], *latent.samples.shape[2:])
        if tuple(shown.planes.shape[1:]) != wanted:
            message = "The frames that the conditioning shows are of another size or length than the video."
            hint = "Connect the empty latent that guide.frames takes to the sampler as well, and the model's own VAE."
            raise ProblemError(Problem(code="wrong_size", message=message, hint=hint, port="latent"))

    def lacks_frames(self) -> ProblemError:
        """For a model that makes a video of an image, and is shown none."""
        message = f"This {self.family.title} makes a video of an image, and the conditioning shows it none."
        hint = "Put the node guide.frames between the positive prompt and the sampler."
        return ProblemError(Problem(code="shown_missing", message=message, hint=hint, port="positive"))

    def require_seen(self, shown: Shown, width: int, which: str) -> None:
        """Raises ProblemError for frames that were not seen by the image encoder `which`, of `width` channels."""
        if shown.embeddings is None:
            message = f"This {self.family.title} looks at images with an image encoder, and guide.frames has none."
            hint = "Load it with models.load_image_encoder, and connect it there."
            raise ProblemError(Problem(code="shown_missing", message=message, hint=hint, port="positive"))
        if shown.embeddings.shape[-1] != width:
            message = f"The image encoder gives {shown.embeddings.shape[-1]} channels, and the model takes {width}."
            hint = f"Use the image encoder that belongs to the model ({which})."
            raise ProblemError(Problem(code="wrong_family", message=message, hint=hint, port="positive"))
