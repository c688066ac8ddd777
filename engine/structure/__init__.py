"""What the file alone tells: graph, cost, receptive fields, weights, drawings."""
