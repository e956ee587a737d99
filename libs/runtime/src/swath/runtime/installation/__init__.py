"""`python -m swath.runtime.installation`: the Secrets of an installation on Kubernetes."""
