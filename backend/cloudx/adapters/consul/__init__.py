"""What Consul knows of the fleet."""
