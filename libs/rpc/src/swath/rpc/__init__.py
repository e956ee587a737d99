"""Both ends of a call: channels, errors on the wire, TLS files that change, tracing. Its serving half is `server`."""
