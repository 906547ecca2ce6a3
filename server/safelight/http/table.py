"""All routes of the API."""

from __future__ import annotations

from . import (
    batch_routes,
    file_routes,
    gallery_routes,
    graph_routes,
    model_routes,
    preset_routes,
    run_routes,
    segment_routes,
    system_routes,
    vote_routes,
    workflow_routes,
)
from .routing import Route

BASE = "/api/v1"
ROUTES: tuple[Route, ...] = (
    *graph_routes.ROUTES,
    *run_routes.ROUTES,
    *batch_routes.ROUTES,
    *vote_routes.ROUTES,
    *workflow_routes.ROUTES,
    *preset_routes.ROUTES,
    *gallery_routes.ROUTES,
    *file_routes.ROUTES,
    *segment_routes.ROUTES,
    *model_routes.ROUTES,
    *system_routes.ROUTES,
)
