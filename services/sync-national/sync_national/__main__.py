"""`python -m sync_national`: the service, as the environment's `HUB_*` variables say."""

from shared.service import serve
from sync_national.main import create_app
from sync_national.settings import Settings

if __name__ == "__main__":
    settings = Settings()
    serve(create_app(settings), settings)
