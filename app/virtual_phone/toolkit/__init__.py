"""The widgets that the virtual phone's apps are made of.

An app builds its screen anew from the state whenever something changed; painting a widget draws
it and leaves behind the spots that can be touched, so what is seen and what is felt cannot differ.
"""
