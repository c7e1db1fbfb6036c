"""The operator's settings. Only this package reads configuration files and variables."""

from app.settings.entries import (
    PULLED_FILE,
    ModelEntry,
    ModelMemory,
    PulledFile,
    PulledModel,
    load_apps,
    load_models,
    load_pulled,
)
from app.settings.files import configs_folder
from app.settings.goal_lists import GoalList, load_goals
from app.settings.guard_lists import GuardCategory, load_guard
from app.settings.layers import ENV_PREFIX, load_settings
from app.settings.sections import (
    AdbSettings,
    AppsSettings,
    EngineSettings,
    GuardSettings,
    ModelsSettings,
    ServiceSettings,
    Settings,
)

__all__ = [
    "AdbSettings",
    "AppsSettings",
    "ENV_PREFIX",
    "EngineSettings",
    "GoalList",
    "GuardCategory",
    "GuardSettings",
    "ModelEntry",
    "ModelMemory",
    "ModelsSettings",
    "PULLED_FILE",
    "PulledFile",
    "PulledModel",
    "ServiceSettings",
    "Settings",
    "configs_folder",
    "load_apps",
    "load_goals",
    "load_guard",
    "load_models",
    "load_pulled",
    "load_settings",
]
