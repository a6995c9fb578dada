"""`python -m citizen_db_adapter`: serve."""

from citizen_db_adapter.main import create_app
from citizen_db_adapter.settings import Settings
from shared.service import serve


def main() -> None:
    """Read the settings and serve until told to stop."""
    settings = Settings()
    serve(create_app(settings), settings)


if __name__ == "__main__":
    main()
