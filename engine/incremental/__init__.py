"""What a change in one place of the image does to a network, computed only where it can be felt."""
