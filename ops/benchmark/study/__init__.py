"""The study: every network, and MSN without each of its modules, trained alike on the motion set."""
