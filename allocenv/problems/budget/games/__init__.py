"""What is played by the other environments: rules of allocation tuned, weights given, samples and votes bought."""
