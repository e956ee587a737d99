"""Replicas as pods: one Kubernetes Deployment for each deployment of an application's version."""
