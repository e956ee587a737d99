"""What is deployed and what runs of it: applications, their versions, deployments and replicas."""
