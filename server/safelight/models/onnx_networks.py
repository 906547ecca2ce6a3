"""Networks in ONNX files, run by onnxruntime (MIT), which is asked for when the first is loaded.

Which one a file holds is told by what it takes and gives; that is read without onnxruntime.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from safelight.sdk.memory import is_out_of_memory
from safelight.sdk.problem import Problem, ProblemError

from .headers import onnx_of
from .onnx_files import OnnxFile, Socket

if TYPE_CHECKING:
    import torch

    from .preprocessors import Preprocessor


class Row(NamedTuple):
    """A row of the table: which network it is, and what tells it."""

    sort: str
    fits: Callable[[OnnxFile], bool]


def _takes_image(file: OnnxFile) -> bool:
    if len(file.inputs) != 1:
        return False
    _, dtype, shape = file.inputs[0]
    return len(shape) == 4 and shape[0] in (0, 1) and shape[1] == 3 and dtype in ("F32", "F16")


def _is_matte(file: OnnxFile) -> bool:
    """One image to a map, which is the first that comes out: U2-Net and IS-Net give those of their levels as well."""
    return _takes_image(file) and len(file.outputs[0].shape) == 4 and file.outputs[0].shape[1] == 1


NETWORKS: tuple[Row, ...] = (Row("onnx_matte", _is_matte),)


def network_of(file: OnnxFile) -> str:
    """Which network a file holds ('onnx_matte'); empty for anything else."""
    return next((row.sort for row in NETWORKS if row.fits(file)), "")


def said_of(file: OnnxFile) -> str:
    """What a file takes and gives, for messages."""
    return f"it takes {_listed(file.inputs)}, and gives {_listed(file.outputs)}"


def _listed(sockets: tuple[Socket, ...]) -> str:
    shown = [f"{one.name[:40]!r} ({' x '.join(str(side or '?') for side in one.shape) or '?'})" for one in sockets[:4]]
    return ", ".join(shown) + (f" and {len(sockets) - 4} more" if len(sockets) > 4 else "")


def load_onnx(file: Path, device: torch.device) -> Preprocessor:
    """The network of an ONNX file; `network` is a torch module that calls it (see `_module`).

    Raises:
        ProblemError: `needs_package`; `weights_damaged`, when it cannot be run.
    """
    from .preprocessors import Preprocessor

    told = onnx_of(file)
    return Preprocessor(network_of(told), _module(file, told, device), name=file.name)


def _module(file: Path, told: OnnxFile, device: torch.device) -> Any:
    """A torch module around a session, so that the store moves it and lets it go as it does others.

    It is called with an image (1, 3, H, W) and gives all that the network gives, as a list of tensors in single
    precision and main memory. `height` and `width` are those that it takes, 0 for any;
    `operators` are the names of those it computes with.
    """
    import torch

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.outside = file.stat().st_size
            self.taken = told.inputs[0]
            self.operators = told.operators
            self.height, self.width = self.taken.shape[2:]
            self.session: Any = None
            self.providers: Any = None
            self.to(device)

        def to(self, *place: Any, **_: Any) -> Network:
            """Opens the session where it is to compute: on a graphics card, where the onnxruntime that is installed
            has a way there, else on the CPU."""
            providers = _providers(torch.device(place[0]))
            if self.providers != providers:
                self.session, self.providers = _session(file, providers), providers
            return self

        def forward(self, pixels: torch.Tensor) -> list[torch.Tensor]:
            import numpy

            given = pixels.cpu().numpy().astype(numpy.float16 if self.taken.dtype == "F16" else numpy.float32)
            try:
                found = self.session.run(None, {self.taken.name: given})
            except Exception as error:  # onnxruntime has exceptions of its own for each way to fail
                if is_out_of_memory(error) or "allocate memory" in str(error):
                    raise MemoryError(str(error)) from error
                raise _not_run(file, error) from error
            return [torch.from_numpy(numpy.asarray(one, numpy.float32)) for one in found]

    return Network().eval()


def _onnxruntime() -> Any:
    from importlib import import_module

    try:
        return import_module("onnxruntime")  # by name: types are checked without it, too
    except ImportError:
        message = "ONNX files are run by the package onnxruntime, which is not installed."
        hint = "pip install onnxruntime (or pip install 'safelight[onnx]'; onnxruntime-gpu for a card of NVIDIA)."
        raise ProblemError(Problem(code="needs_package", message=message, hint=hint, value="onnxruntime")) from None


def _providers(device: torch.device) -> list[tuple[str, dict[str, Any]]]:
    cuda = "CUDAExecutionProvider"
    found: list[tuple[str, dict[str, Any]]] = [("CPUExecutionProvider", {})]
    if device.type == "cuda" and cuda in _onnxruntime().get_available_providers():
        found.insert(0, (cuda, {"device_id": device.index or 0}))
    return found


def _session(file: Path, providers: list[tuple[str, dict[str, Any]]]) -> Any:
    import torch

    onnxruntime = _onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # it writes past Python otherwise; what is wrong is in its exceptions as well
    # It would keep what an image took: some 800 MB for IS-Net at 1024 pixels.
    options.enable_cpu_mem_arena = False
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=providers)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise _not_run(file, error) from error


def _not_run(file: Path, error: Exception) -> ProblemError:
    said = str(error).partition("\n")[0][:300]
    message = f"onnxruntime cannot run {file.name}: {said}"
    hint = "Copy or download it again; a file that is newer than the onnxruntime here needs a newer one."
    return ProblemError(Problem(code="weights_damaged", message=message, hint=hint, value=file.name))
