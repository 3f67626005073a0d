"""What runs the platform on a machine that reaches no image registry, and what tests run on."""
