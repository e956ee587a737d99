"""The session as the other services know it: its model, a client of the authority, ownership and preconditions."""
