"""Builds the pages into the package: with an installed Node, or with one that pip brings along for the build.

A build that finds no package registry for the pages' parts still installs livecast, without pages, and says so; set
`LIVECAST_WEB=require` where that must fail (releases do), or `LIVECAST_WEB=skip` to leave the pages out.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PagesHook(BuildHookInterface[Any]):
    """For wheels, sdists and editable installs alike: those who install have the pages of these sources."""

    def dependencies(self) -> list[str]:
        """What the build needs beside hatchling: a Node, if the pages have to be built and there is none."""
        web = self._web()
        return [] if self._wanted == "skip" or web.is_current() or web.installed_node() else [web.NODE_WHEEL]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's signature
        """Build, if the sources are others than last time."""
        web = self._web()
        if self._wanted == "skip" or web.is_current():
            return
        try:
            web.prepare(dev=False)
        except web.Unavailable as why:
            if self._wanted == "require":
                raise
            self.app.display_warning(f"livecast is installed without its pages: {why}")

    @property
    def _wanted(self) -> str:
        return os.environ.get("LIVECAST_WEB", "")

    def _web(self) -> ModuleType:
        """`livecast/web/build.py`, which imports nothing of livecast."""
        spec = importlib.util.spec_from_file_location("livecast_web_build", Path(self.root) / "livecast" / "web" / "build.py")
        if spec is None or spec.loader is None:
            raise FileNotFoundError("livecast/web/build.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
