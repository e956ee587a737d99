"""Calls between a host and its replicas: frames over one socket, several calls at a time, streams with credit."""
