"""What the fleet is and how its nodes are."""
