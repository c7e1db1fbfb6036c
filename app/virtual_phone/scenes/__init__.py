"""Scenes: small apps and windows on which a careless agent goes wrong.

A phone has the scenes named by its quirk `scene` (`app.virtual_phone.scenes.catalogue`). Their apps
are opened by name like any other, but have no icon on the home screen, so that the launcher looks
the same with and without them. What is done in them is recorded in the state as `deeds`. They are
unrelated to the toolkit's painted `Scene`.
"""
