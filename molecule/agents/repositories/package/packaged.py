"""What tasks import whose requirements name the repository."""

TEXT = "from a private repository"
