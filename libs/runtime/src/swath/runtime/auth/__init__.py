"""Who calls and who may: tokens, JWTs, client certificates, and which service may call which method."""
