"""`python -m console`"""

from console.main import create_app
from console.settings import Settings
from shared.service import serve


def main() -> None:
    """Run the service until told to stop."""
    settings = Settings()
    serve(create_app(settings), settings)


if __name__ == "__main__":
    main()
