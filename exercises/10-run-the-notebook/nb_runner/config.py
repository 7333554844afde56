"""Settings, read from the environment: what differs between a laptop and a server."""

# TODO(10.1): make a class `Settings` (pydantic_settings.BaseSettings) with a field for each of
#   REDIS_URL, NOTEBOOK_PATH (which has no default: there is no runner without a notebook),
#   DATABASE_URL and CELL_TIMEOUT (whole seconds). Each but NOTEBOOK_PATH has a default. And make
#   one object of the class, called `settings`.
#   https://docs.pydantic.dev/latest/concepts/pydantic_settings/
