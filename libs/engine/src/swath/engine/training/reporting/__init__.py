"""What a run reports: events, their messages, and the values that are measured."""
