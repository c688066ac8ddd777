"""What a run costs: time per operator."""
