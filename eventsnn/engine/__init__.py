"""The engines: clocked time, and events from a queue."""
