"""``python -m consentclf`` is the command ``consentclf``."""

from .cli import main

if __name__ == "__main__":
    main()
