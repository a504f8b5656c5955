"""Fashion-MNIST: the data, and the training of vit_micro on all of it."""
