"""Scenes: small apps and windows on which a careless agent goes wrong.

A phone has those that its quirk `scene` names (`app.virtual_phone.scenes.catalogue`). Their apps
are opened by name like any other one, but have no icon on the home screen, so that the launcher
looks the same with and without them. What is done in them stands in the state as `deeds`. They have
nothing to do with a painted `Scene` of the toolkit.
"""
