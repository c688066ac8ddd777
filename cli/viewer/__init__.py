"""Local web servers, for this machine only."""
