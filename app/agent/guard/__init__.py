"""The rules for what a task may do on the phone without asking, whatever the model says."""

from app.agent.guard.category import Category
from app.agent.guard.guard import Guard
from app.agent.guard.scene import FREE, Ruling, Scene

__all__ = ["FREE", "Category", "Guard", "Ruling", "Scene"]
