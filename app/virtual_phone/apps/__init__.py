"""The apps of the virtual phone; `app.virtual_phone.apps.catalogue` lists them."""
