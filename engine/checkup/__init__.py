"""The check-up: what is wrong with a trained convolutional network, from its weights and a few images."""
