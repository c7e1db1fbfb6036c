"""The widgets of the virtual phone's apps.

An app builds its screen from the state again after every change. Painting a widget draws it and
records the spots that can be touched, so the visible and the touchable screen cannot differ.
"""
