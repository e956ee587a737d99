from swath_suite.testing.services import authority, connect, serve, session_service, who_am_i

__all__ = ["authority", "connect", "serve", "session_service", "who_am_i"]
