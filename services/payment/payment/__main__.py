"""`python -m payment`: serve."""

from payment.main import create_app
from payment.settings import Settings
from shared.service import serve


def main() -> None:
    """Read the settings and serve until told to stop."""
    settings = Settings()
    serve(create_app(settings), settings)


if __name__ == "__main__":
    main()
