"""What a server does around its methods.

methods      the methods of a gRPC service that a Swath service registers, and the refusal of all others
handlers     handlers of all four kinds taken apart and put together again
binding      its options, and the ports and sockets that it takes
calls        what happens around every call, in one function per method
failures     errors to statuses
call_log     log lines of calls
in_flight    calls in flight, for drains
metrics      Prometheus metrics
health       the health protocol
reflection   server reflection, v1 and v1alpha
"""
