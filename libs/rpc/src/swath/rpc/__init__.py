"""Both ends of a call. It knows nothing of a process, of sessions or of storage.

addresses      where servers listen: HOST:PORT, [IPv6]:PORT, unix:PATH
caller         the user behind the present call
channels       channels to services, and the options of every channel: retries, health checks, keepalive
metadata       how much metadata a call may carry
proxies        HTTP proxies that the environment names
reloading      channels whose TLS files may change, blocking and asyncio
tls            TLS files, and the credentials of servers and channels made of them
watched_files  files that are read again when they change
status         errors as gRPC statuses with google.rpc details
shielded       work that goes on when its call is cancelled (needs the extra `server`)
remote_errors  errors of calls to other services, as the errors that were raised there
tracing        traces across services (needs the extra `server`)
server         what a server does around its methods (needs the extra `server`)
"""
