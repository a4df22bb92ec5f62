"""Other software on the same questions, each run from a checkout of its own; none of its code is here."""
