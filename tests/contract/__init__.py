"""Calls recorded on the official server, sent again to the lab server, and how far the answers agree."""
